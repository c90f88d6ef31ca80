"""Waiting in tests: for a state, with a deadline that only a hang reaches; never for a time.

`test_no_clocks.py` keeps other sleeps out of the tests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

DEADLINE_SECONDS = 120.0
"""Far beyond what a busy machine needs: only a hang gets there."""

_POLL_SECONDS = 0.005


def wait_until(
    condition: Callable[[], object],
    what: str = "the condition",
    between: Callable[[], object] | None = None,
) -> None:
    """Return as soon as `condition` holds. between: done after every look. Raises TimeoutError."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not hold within {DEADLINE_SECONDS:g} s")
        if between is not None:
            between()
        time.sleep(_POLL_SECONDS)


async def reached(condition: Callable[[], object], what: str = "the condition") -> None:
    """`wait_until` for coroutines: the loop runs meanwhile."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not hold within {DEADLINE_SECONDS:g} s")
        await asyncio.sleep(_POLL_SECONDS)
