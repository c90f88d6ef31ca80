"""Runs one task in the background while the engine keeps decoding. Knows neither sequences nor backends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["OverlapWorker"]

_Owner = TypeVar("_Owner")
_Result = TypeVar("_Result")


class OverlapWorker(Generic[_Owner, _Result]):
    """Runs one task at a time for one owner, who starts it and collects its result.

    The thread exists from the first task on; it ends with `close`, or when this object is garbage-collected.
    """

    def __init__(self) -> None:
        self.owner: _Owner | None = None
        self._task: Future[_Result] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def start(self, owner: _Owner, task: Callable[[], _Result]) -> None:
        """Run `task` for `owner`; the result of the previous one must have been collected."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "openbark-overlap")
        self.owner, self._task = owner, self._thread.submit(task)

    def collect(self, wait: bool = False) -> tuple[_Owner, _Result] | None:
        """Owner and result of the last task; None while it runs (unless `wait`), or when there is none. Raises what
        the task raised."""
        owner, task = self.owner, self._task
        if owner is None or task is None or not (wait or task.done()):
            return None
        result = task.result()
        self.owner = self._task = None
        return owner, result

    def close(self) -> None:
        """Wait for the running task, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
