"""Whose turn it is to be spoken: as many at once as the machine makes faster than they play, the others wait.

A listener who waits hears silence once, at the start; one who shares a machine that is too slow hears it in the
middle. Runs on the event loop, hence without locks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from openbark.server.errors import timed_out

__all__ = ["Turns", "listeners_at_once"]

# Pieces come in bursts, so that a machine as fast as its listeners together leaves gaps; and fewer together are
# made no slower in all (`openbark bench serve --http`: 27, 17 and 2 of some 90 with a gap at 0.75, 0.5 and 0.35).
_HEADROOM = 0.35


def listeners_at_once(speed: float | None, most: int) -> int:
    """How many can listen at once without a gap: `speed` is audio seconds per second of work, None not known yet."""
    if speed is None:
        return most
    return max(1, min(most, int(_HEADROOM * speed)))


class Turns:
    """A queue, first come first served, before a number of places that may change."""

    def __init__(self, places: Callable[[], int]) -> None:
        """places: how many may run now; asked whenever somebody comes or goes."""
        self._places = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._who: dict[asyncio.Future[None], object] = {}
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not each.done() for each in self._waiting)

    def position(self, who: object) -> int:
        """How many turns until that of `who`, who is next at 1; 0 when it is here, or gone."""
        line = (self._who[each] for each in self._waiting if not each.done())
        return next((place for place, each in enumerate(line, 1) if each is who), 0)

    @asynccontextmanager
    async def turn(self, timeout: float, who: object = None) -> AsyncIterator[None]:
        """Wait for a place and hold it; `who` can ask for its `position` meanwhile. Raises ApiError 504 after
        `timeout` seconds."""
        await self._enter(timeout, who)
        try:
            yield
        finally:
            self.running -= 1
            self._admit()

    async def _enter(self, timeout: float, who: object) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._who[place] = who
        self._admit()
        try:
            async with asyncio.timeout(timeout):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                # The place came in the moment of leaving: somebody else shall have it.
                self.running -= 1
                self._admit()
            place.cancel()
            if isinstance(error, TimeoutError):
                raise timed_out(
                    "deadline_exceeded", f"no place became free within {timeout:g} s"
                ) from error
            raise
        finally:
            del self._who[place]

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0].done() or self.running < self._places()):
            place = self._waiting.popleft()
            if not place.done():
                self.running += 1
                place.set_result(None)
