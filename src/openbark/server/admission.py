"""Who may start now: bounds on requests and audio seconds that wait or run, and on those of one key (R1, R2).

Asked before a text is tokenised or a model touched. Runs on the event loop, hence without locks.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from openbark.server.errors import busy, quota_exceeded

__all__ = ["Admission"]

_START_RATE = 2.0
_SMOOTHING = 0.2


@dataclass
class Admission:
    """Tickets for requests. max_seconds: of audio, estimated; per_key: requests of one key at once. scale: what both
    limits are multiplied by at this moment, for a speaker of several models."""

    max_requests: int
    max_seconds: float
    per_key: int
    scale: Callable[[], float] = lambda: 1.0
    in_flight: int = 0
    seconds: float = 0.0
    rejected: int = 0
    _of_key: Counter[str] = field(default_factory=Counter)
    _rate: float = _START_RATE

    @contextmanager
    def ticket(self, owner: str, seconds: float) -> Iterator[None]:
        """Hold a place for about `seconds` of audio.

        Raises ApiError 429 when this key has enough running, 503 when everybody has; both say when to
        come back. A request alone is always admitted, however long.
        """
        if owner and self._of_key[owner] >= self.per_key:
            self.rejected += 1
            raise quota_exceeded(
                f"this key has {self.per_key} requests running, its limit; wait for one to end",
                self._wait(self.seconds / max(1, self.in_flight)),
            )
        scale = self.scale()
        max_requests, max_seconds = int(self.max_requests * scale), self.max_seconds * scale
        crowded = self.in_flight > 0 and self.seconds + seconds > max_seconds
        if self.in_flight >= max_requests or crowded:
            self.rejected += 1
            raise busy(
                f"the server has {self.in_flight} requests and {self.seconds:.0f} s of audio to make "
                f"(limits {max_requests} and {max_seconds:.0f})",
                self._wait(self.seconds / 2),
            )
        self.in_flight += 1
        self.seconds += seconds
        self._of_key[owner] += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.seconds = max(0.0, self.seconds - seconds) if self.in_flight else 0.0
            self._of_key[owner] -= 1
            if not self._of_key[owner]:
                del self._of_key[owner]

    def made(self, audio_seconds: float, wall_seconds: float) -> None:
        """Learn how fast audio is made, for honest waits."""
        if wall_seconds > 0 and audio_seconds > 0:
            self._rate += _SMOOTHING * (audio_seconds / wall_seconds - self._rate)

    def _wait(self, audio_seconds: float) -> float:
        # Spread out, so that those turned away together do not come back together.
        return audio_seconds / max(self._rate, 0.05) * random.uniform(0.8, 1.4)
