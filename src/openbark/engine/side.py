"""One piece of work on a thread of its own, while its owner does others. Knows neither rows nor backends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["SideThread"]

_Owner = TypeVar("_Owner")
_Result = TypeVar("_Result")


class SideThread(Generic[_Owner, _Result]):
    """Does one call at a time; for one owner, who starts it and takes what it gave.

    The thread is there from the first call on; it ends with `close`, or when this object is forgotten.
    """

    def __init__(self) -> None:
        self.owner: _Owner | None = None
        self._call: Future[_Result] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def start(self, owner: _Owner, call: Callable[[], _Result]) -> None:
        """Do a call for `owner`; the one before must have been taken."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "openbark-side")
        self.owner, self._call = owner, self._thread.submit(call)

    def take(self, wait: bool = False) -> tuple[_Owner, _Result] | None:
        """Whom the last call was for, and what it gave; None while there is nothing, or with `wait` nothing to wait
        for. Raises what the call raised."""
        owner, call = self.owner, self._call
        if owner is None or call is None or not (wait or call.done()):
            return None
        result = call.result()
        self.owner = self._call = None
        return owner, result

    def close(self) -> None:
        """Wait for the call that is under way, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
