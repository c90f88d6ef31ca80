"""A progress bar in seconds of audio, with the time that is left, on a terminal or in a notebook only.

What it is told comes from the engine; what it shows can never stop the work.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeGuard

from openbark.errors import ParamError
from openbark.scalars import read_flag

if TYPE_CHECKING:
    from openbark.types import Progress

_KNOWN = "{desc:<8} {percentage:3.0f}%|{bar:24}| {n:.1f} of {total:.1f} s of audio [{elapsed}, {remaining} left]"
_OPEN = "{desc:<8} {n:.1f} s of audio [{elapsed}]"


def can_show_progress() -> bool:
    """Whether stderr is a terminal or a notebook's output, and not a pipe, a file or closed."""
    stream = sys.stderr
    if stream is None:
        return False
    if type(stream).__module__.startswith("ipykernel."):
        return True
    try:
        return stream.isatty()
    except (AttributeError, ValueError, OSError):  # closed, or put there by a program
        return False


class ProgressBar:
    """Shows what the engine reports (a `Progress` callback); removed when done. Silent where stderr is not a terminal."""

    def __init__(self, enabled: bool = True, first: str = "loading") -> None:
        """first: what is shown before the first report."""
        self._enabled = enabled and can_show_progress()
        self._first = first
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> ProgressBar:
        if self._enabled:
            with suppress(Exception):
                from tqdm import tqdm

                self._bar = tqdm(file=sys.stderr, leave=False, bar_format=_OPEN, desc=self._first)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(Exception):
                bar.close()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Out of the way of what is printed meanwhile."""
        with suppress(Exception):
            if self._bar is not None:
                self._bar.clear()
        yield
        with suppress(Exception):
            if self._bar is not None:
                self._bar.refresh()

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        """Seconds of audio done in `stage`, of `total` if known."""
        if self._bar is None:
            return
        try:
            self._show(stage, done, total)
        except Exception:
            self._bar = None

    def _show(self, stage: str, done: float, total: float | None) -> None:
        bar = self._bar
        if not math.isfinite(done) or done < 0:
            return
        if stage != self._stage:
            self._stage = stage
            bar.total, bar.bar_format = None, _OPEN
            bar.reset()
            bar.set_description_str(stage, refresh=False)
        # An estimate may be passed. tqdm forgets the total of a bar that is past it, and a format that names the
        # total is then an error: so the total grows with what is done, and the format follows it.
        bar.total = max(total, done) if _is_known(total) else None
        bar.bar_format = _OPEN if bar.total is None else _KNOWN
        bar.update(done - bar.n)


@contextmanager
def progress_of(asked: Progress | bool | None) -> Iterator[Progress | None]:
    """The callback that a caller means: a bar of our own for True, none for None and False.

    Raises ParamError for what cannot be called.
    """
    wants_bar = read_flag(asked)
    if wants_bar:
        with ProgressBar(first="speech") as bar:
            yield bar
    elif wants_bar is False or asked is None:
        yield None
    elif callable(asked):
        yield asked
    else:
        raise ParamError(
            f"progress is {asked!r}; allowed: True for a bar, a function of (stage, done, total), or None"
        )


def _is_known(total: float | None) -> TypeGuard[float]:
    return total is not None and math.isfinite(total) and total > 0
