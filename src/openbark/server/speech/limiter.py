"""Who runs now: limits concurrent requests to what plays without gaps. Each computes a piece at a time.

A place is held while a piece is made and given back with it. The next place goes to the request whose listener
would first run out of audio; one that has heard nothing yet does so at once. Where the model can compute more than
plays without gaps, one place more is for requests that begin: hence short ones are served between the pieces of long
ones, and no long one is kept waiting for ever. Runs on the event loop, hence without locks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Pieces come in bursts, so that a machine as fast as its listeners together leaves gaps; and fewer together are
# made no slower in all (`openbark bench serve --http`: 27, 17 and 2 of some 90 with a gap at 0.75, 0.5 and 0.35).
_HEADROOM = 0.35
# Audio of a request that counts as its beginning: longer than any piece, so that one sentence is spoken to its end.
_BEGINNING_SECONDS = 15.0


def listeners_at_once(speed: float | None, most: int) -> int:
    """How many can listen at once without a gap: `speed` is audio seconds per second of work, None not known yet."""
    if speed is None:
        return most
    return max(1, min(most, int(_HEADROOM * speed)))


class Turn:
    """What a request has of the limiter, from its admission to its end: see `ConcurrencyLimiter.join`.

    due: when its listener will have played what there is, on the limiter's clock. made: seconds of its audio.
    """

    def __init__(self, limiter: ConcurrencyLimiter, request: object = None) -> None:
        """request: what can be asked for its `position` meanwhile."""
        self._limiter = limiter
        self.request = request
        self.due = limiter.clock()
        self.made = 0.0
        self.begun = False
        self.holds = False
        self.place: asyncio.Future[None] | None = None

    @property
    def is_beginning(self) -> bool:
        """Whether little of it was heard yet."""
        return self.made < _BEGINNING_SECONDS

    @property
    def is_running(self) -> bool:
        """Whether it has begun, or has the place to begin in."""
        return self.begun or self.holds

    async def take(self, timeout: float | None = None) -> None:
        """Wait for a place and hold it. Raises TimeoutError after `timeout` seconds."""
        await self._limiter.enter(self, timeout)

    def give(self, seconds: float) -> None:
        """A piece of so many seconds is there: give the place back."""
        self.begun = True
        self.made += seconds
        self.due = max(self._limiter.clock(), self.due) + seconds
        self.leave()
        self._limiter.tell_change()

    def leave(self) -> None:
        """Give the place back, if one is held."""
        if self.holds:
            self.holds = False
            self._limiter.admit()


class ConcurrencyLimiter:
    """Places to compute in, as many as `places` says, and one more for a request that begins."""

    def __init__(
        self,
        places: Callable[[], int],
        capacity: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """places: how many may compute now; capacity: how many the model computes at once, which nothing exceeds.

        Both are asked whenever a place is wanted or given back.
        """
        self._places = places
        self._capacity = capacity
        self.clock = clock
        self.turns: list[Turn] = []
        self._change = asyncio.Event()

    @property
    def running(self) -> int:
        """Requests that have begun to be spoken."""
        return sum(turn.is_running for turn in self.turns)

    @property
    def computing(self) -> int:
        """Requests that hold a place now."""
        return sum(turn.holds for turn in self.turns)

    @property
    def waiting(self) -> int:
        """Requests that have not begun, and wait for a place."""
        return sum(not turn.begun for turn in self._queue())

    def position(self, request: object) -> int:
        """How many places are given before that of `request`, which is next at 1; 0 when it has one, or is gone."""
        line = enumerate(self._queue(), 1)
        return next((place for place, turn in line if turn.request is request), 0)

    @contextmanager
    def join(self, turn: Turn) -> Iterator[Turn]:
        """Count a turn among the others until its request has ended."""
        self.turns.append(turn)
        try:
            yield turn
        finally:
            self.turns.remove(turn)
            turn.leave()
            self.tell_change()

    async def wait_for_change(self) -> None:
        """Wait until a request has begun, made audio, or ended."""
        await self._change.wait()

    def tell_change(self) -> None:
        """Let those go on that wait for a change."""
        # Each event is set once: those that wait look again, and wait for the next one.
        self._change.set()
        self._change = asyncio.Event()

    async def enter(self, turn: Turn, timeout: float | None) -> None:
        """As `Turn.take`."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn.place = place
        self.admit()
        try:
            async with asyncio.timeout(timeout):
                await place
        except BaseException:
            # The place may have come in the moment of leaving: it goes to the next request.
            turn.leave()
            raise
        finally:
            place.cancel()
            turn.place = None

    def admit(self) -> None:
        """Give free places to those that wait."""
        for turn in self._queue():
            if turn.place is None or not self._has_place(turn):
                continue
            turn.holds = True
            turn.place.set_result(None)
            self.tell_change()

    def _has_place(self, turn: Turn) -> bool:
        """Whether there is a place; one request that begins needs none of those that others have."""
        n_computing = self.computing
        if n_computing >= self._capacity():
            return False
        if turn.is_beginning:
            return n_computing < self._places() + 1
        n_extra = any(each.holds and each.is_beginning for each in self.turns)
        return n_computing - n_extra < self._places()

    def _queue(self) -> list[Turn]:
        """Turns that wait for a place, in the order in which they get one."""
        waiting = [turn for turn in self.turns if turn.place is not None and not turn.place.done()]
        # Sorting is stable, and turns are kept in the order of their arrival.
        return sorted(waiting, key=lambda turn: turn.due)
