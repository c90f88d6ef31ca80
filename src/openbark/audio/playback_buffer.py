"""How long the first audio is held back, so that a player does not run dry later.

Audio plays without a gap when what is there always lasts until the next block is: that follows from the seconds of work
that a second of audio takes, and from how long blocks may be. Knows no player and no engine; time is the caller's clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from openbark.types import Waveform

__all__ = ["PlaybackBuffer", "seconds_to_hold"]

_GROWTH = 2.0
"""The next block may be this many times as long as the last."""

_MOST_SECONDS = 30.0
"""More is never held back: a gap is better than a silence as long as the text."""


def seconds_to_hold(rate: float, next_seconds: float, left_seconds: float = 0.0) -> float:
    """Audio seconds to have before playing begins: `rate` seconds of work make one second of audio, the next block
    has `next_seconds`, and `left_seconds` follow it, in blocks that grow by as much as they may."""
    hold, made, block = 0.0, 0.0, next_seconds
    left = next_seconds + left_seconds
    while left > 0.0:
        block = min(block, left)
        hold = max(hold, rate * (made + block) - made)
        made, left, block = made + block, left - block, _GROWTH * block
    return hold


class PlaybackBuffer:
    """Holds blocks back until what is there outlasts what is to come; then hands every block on at once.

    The rate is measured: over the first block alone it also counts the time until it came, and errs on the safe side.
    """

    def __init__(
        self,
        sample_rate: int,
        expected_seconds: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """expected_seconds: of audio in all, 0 where that is unknown. Measuring starts now."""
        self._sample_rate = sample_rate
        self._expected = expected_seconds
        self._clock = clock
        self._started = clock()
        self._first: tuple[float, float] | None = None
        self._seconds = 0.0
        self._held: list[Waveform] = []
        self.is_playing = False
        self.rate: float | None = None

    def push(self, block: Waveform) -> Waveform:
        """Add samples [L]; those that are to be played now, none while they are held back."""
        if self.is_playing or len(block) == 0:
            return block
        seconds = len(block) / self._sample_rate
        self._held.append(block)
        self._seconds += seconds
        self._measure()
        coming = _GROWTH * seconds
        left = max(0.0, self._expected - self._seconds - coming)
        wanted = seconds_to_hold(self.rate or 0.0, coming, left)
        if self._seconds < min(wanted, _MOST_SECONDS):
            return block[:0]
        return self.finish()

    def finish(self) -> Waveform:
        """What is held back: playing begins whatever comes."""
        self.is_playing = True
        held, self._held = self._held, []
        return np.concatenate(held) if held else np.zeros(0, dtype=np.float32)

    def _measure(self) -> None:
        """`rate`: seconds of work for one of audio, so far."""
        now = self._clock()
        if self._first is None:
            self._first = (now, self._seconds)
            self.rate = (now - self._started) / self._seconds
        else:
            since, had = self._first
            self.rate = (now - since) / (self._seconds - had)
