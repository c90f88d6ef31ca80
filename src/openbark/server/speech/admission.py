"""Who is admitted: limits on how many requests wait or run, on their audio seconds, and on those of one key.

Asked before a text is tokenised or a model touched. Runs on the event loop, hence without locks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from openbark.server.errors import MAX_RETRY_AFTER, ApiError, busy, quota_exceeded
from openbark.server.speech.limiter import ConcurrencyLimiter, Turn

_START_RATE = 2.0
_SMOOTHING = 0.2
# Audio seconds of a first piece, at most: what a request has to wait for of those before it.
_FIRST_PIECE = 12.0
_LEAST_SPREAD, _MOST_SPREAD = 0.7, 1.4


def _unknown_rate() -> float | None:
    return None


class Ticket(Turn):
    """An admitted request and its turn. seconds: of its audio that are still to be made, as estimated; per_second:
    how many of them a second of audio sets free, 0 where the audio is kept."""

    def __init__(
        self,
        limiter: ConcurrencyLimiter,
        request: object,
        owner: str,
        seconds: float,
        per_second: float,
    ) -> None:
        super().__init__(limiter, request)
        self.owner = owner
        self.seconds = seconds
        self._per_second = per_second

    def give(self, seconds: float) -> None:
        """As `Turn.give`; the piece is sent and no longer held."""
        self.seconds = max(0.0, self.seconds - seconds * self._per_second)
        super().give(seconds)


@dataclass(eq=False)
class Admission:
    """Tickets for requests, whose turns are those of `limiter`.

    max_seconds: of audio, estimated, that is still to be made. A request within its equal share of them
    (`max_seconds / max_requests`) is never refused because of the length of others. per_key: requests of one key
    at once. max_wait: seconds to a start, beyond which a request is refused at once, where the speed is known.
    measured_rate: audio seconds made in a second, None where that is not known. scale: what max_requests and
    max_seconds are multiplied by at this moment, for a speaker of several models.
    """

    limiter: ConcurrencyLimiter
    max_requests: int
    max_seconds: float
    per_key: int
    max_wait: float = float("inf")
    measured_rate: Callable[[], float | None] = _unknown_rate
    scale: Callable[[], float] = lambda: 1.0
    rejected: int = 0
    _learned_rate: float | None = None

    @property
    def in_flight(self) -> int:
        """Requests that were admitted and have not ended."""
        return len(self._tickets)

    @property
    def seconds(self) -> float:
        """Audio seconds that are still to be made, estimated."""
        return sum(ticket.seconds for ticket in self._tickets)

    @contextmanager
    def ticket(
        self, owner: str, seconds: float, request: object = None, per_second: float = 1.0
    ) -> Iterator[Ticket]:
        """Hold a place for about `seconds` of audio; the others as in `Turn` and `Ticket`.

        Raises ApiError 429 when this key has enough running, 503 when the server has; both say when to try again. A
        request alone is always admitted, however long.
        """
        self._check(owner, seconds)
        ticket = Ticket(self.limiter, request, owner, seconds, per_second)
        with self.limiter.join(ticket):
            yield ticket

    async def wait_for_room(self, owner: str, seconds: float) -> None:
        """Wait until a `ticket` would be given now; it has to be asked for before anything is awaited."""
        while self._refusal(owner, seconds) is not None:
            await self.limiter.wait_for_change()

    def check_room(self, owner: str) -> None:
        """Raise as `ticket` where a request is refused whatever its length; cheap, before a body is read."""
        self._check(owner, 0.0)

    def wait(self) -> float:
        """Seconds after which it is worth trying again."""
        return _spread(self.seconds / 2 / self._rate)

    def made(self, audio_seconds: float, wall_seconds: float) -> None:
        """Learn how fast audio is made, where the speaker does not measure it."""
        if wall_seconds > 0 and audio_seconds > 0:
            known = _START_RATE if self._learned_rate is None else self._learned_rate
            rate = known + _SMOOTHING * (audio_seconds / wall_seconds - known)
            self._learned_rate = rate

    def _check(self, owner: str, seconds: float) -> None:
        refusal = self._refusal(owner, seconds)
        if refusal is not None:
            self.rejected += 1
            raise refusal

    def _refusal(self, owner: str, seconds: float) -> ApiError | None:
        """Why there is no ticket now, None when there is one."""
        held = self.seconds
        if owner and sum(each.owner == owner for each in self._tickets) >= self.per_key:
            return quota_exceeded(
                f"this key has {self.per_key} requests running, its limit; wait for one to end",
                _spread(held / max(1, self.in_flight) / self._rate),
            )
        scale = self.scale()
        max_requests, max_seconds = int(self.max_requests * scale), self.max_seconds * scale
        share = max_seconds / max_requests
        crowded = self._tickets and seconds > share and held + seconds > max_seconds
        if self.in_flight >= max_requests or crowded:
            return busy(
                f"the server has {self.in_flight} requests and {held:.0f} s of audio to make "
                f"(limits {max_requests} and {max_seconds:.0f}); try again later",
                self.wait(),
            )
        wait = self._wait_for_start()
        if wait > self.max_wait:
            return busy(
                f"a request would start in about {wait:.0f} s, the limit is {self.max_wait:g} s (queue_timeout); "
                "try again later",
                _spread(wait),
            )
        return None

    @property
    def _tickets(self) -> list[Ticket]:
        return [turn for turn in self.limiter.turns if isinstance(turn, Ticket)]

    @property
    def _rate(self) -> float:
        return max(self.measured_rate() or self._learned_rate or _START_RATE, 0.05)

    def _wait_for_start(self) -> float:
        if self.measured_rate() is None and self._learned_rate is None:
            return 0.0
        ahead = sum(
            min(each.seconds, _FIRST_PIECE) for each in self._tickets if not each.is_running
        )
        return ahead / self._rate


def _spread(seconds: float) -> float:
    """A wait at random around `seconds`, so that clients that were refused together do not come back together."""
    longest = MAX_RETRY_AFTER / _MOST_SPREAD
    # Whole seconds are sent: less than a few of them cannot be spread.
    return min(max(seconds, 2.0), longest) * random.uniform(_LEAST_SPREAD, _MOST_SPREAD)
