"""Map a function over jobs in worker processes, or in this one when a single worker is asked for.

Knows nothing of what the jobs do.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


class Workers(AbstractContextManager["Workers"]):
    """A pool of processes for the time of a `with` block."""

    def __init__(self, n_workers: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        if n_workers > 1:
            # Spawned, not forked: the caller may hold threads, which do not survive a fork.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(n_workers, mp_context=context)

    def map(self, function: Callable[[_Job], _Result], jobs: Sequence[_Job]) -> Iterator[_Result]:
        """Yield the results in the order of the jobs."""
        if self._pool is None:
            yield from map(function, jobs)
        else:
            yield from self._pool.map(function, jobs)

    def as_done(
        self, function: Callable[[_Job], _Result], jobs: Sequence[_Job]
    ) -> Iterator[_Result]:
        """Yield the results as they come, in any order."""
        if self._pool is None:
            yield from map(function, jobs)
            return
        futures = [self._pool.submit(function, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for running jobs; drop those not begun if the block failed."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=error is not None)
