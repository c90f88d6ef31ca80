"""What survives `os.fork`: objects that are told about it in the child, and a lock that is free there.

Only the thread that forked exists in the child. A lock that another thread held stays locked there, and what it was
doing has no end: the owner of such objects replaces them. Standard library only.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from types import TracebackType
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """An object with locks, threads or work in progress."""

    def after_fork(self) -> None:
        """Called in the child, before anything else runs there: replace what the other threads left behind."""
        ...


@cache
def _registered() -> WeakSet[ForkAware]:
    """The objects to call in a child; asks the system once to be called itself."""
    objects: WeakSet[ForkAware] = WeakSet()

    def call_all() -> None:
        for each in list(objects):
            each.after_fork()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call_all)
    return objects


def tell_after_fork(owner: ForkAware) -> None:
    """Have `owner.after_fork()` called in every child of a fork, as long as the object exists."""
    _registered().add(owner)


class ForkSafeLock:
    """A lock that is free in the child of a fork, even if another thread held it at that moment.

    For short sections that leave what they guard usable at every step.
    """

    def __init__(self) -> None:
        self._held = self._lock = threading.Lock()
        tell_after_fork(self)

    def after_fork(self) -> None:
        """Start over with a free lock."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._held = lock

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Of a thread that forked inside the block: the lock that it took, not the child's new one.
        self._held.release()
