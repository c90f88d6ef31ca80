"""A progress bar in seconds of audio, with the time that is left, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

__all__ = ["ProgressBar"]

_KNOWN = "{desc:<8} {percentage:3.0f}%|{bar:24}| {n:.1f} of {total:.1f} s of audio [{elapsed}, {remaining} left]"
_OPEN = "{desc:<8} {n:.1f} s of audio [{elapsed}]"


class ProgressBar:
    """Shows what `engine.cascade` reports; gone when done. Silent unless stderr is a terminal."""

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> ProgressBar:
        if self._enabled:
            from tqdm import tqdm

            self._bar = tqdm(file=sys.stderr, leave=False, bar_format=_OPEN, desc="loading")
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Out of the way of what is printed meanwhile."""
        if self._bar is not None:
            self._bar.clear()
        yield
        if self._bar is not None:
            self._bar.refresh()

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        """A `Progress` callback: seconds of audio done in `stage`, of `total` if known."""
        if self._bar is None:
            return
        if stage != self._stage:
            self._stage = stage
            self._bar.bar_format = _KNOWN if total else _OPEN
            self._bar.reset(total)
            self._bar.set_description_str(stage, refresh=False)
        self._bar.update(done - self._bar.n)
