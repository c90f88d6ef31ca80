"""OpenAI's tempos, 0.25 to 4: one stretch within its own range, two of the square root beyond it."""

from __future__ import annotations

import math

import numpy as np

from openbark.audio import Waveform
from openbark.audio.stretch import MAX_SPEED, MIN_SPEED, Stretcher

__all__ = ["Tempo"]


class Tempo:
    """A stream of blocks at another tempo and the same pitch: `push` blocks, then `finish`."""

    def __init__(self, speed: float, sample_rate: int) -> None:
        n_stages = 1 if MIN_SPEED <= speed <= MAX_SPEED else 2
        each = speed if n_stages == 1 else math.sqrt(speed)
        self._stages = [Stretcher(sample_rate, each) for _ in range(n_stages)]

    def push(self, block: Waveform) -> Waveform:
        """Add samples [L]; those that are ready."""
        for stage in self._stages:
            block = stage.push(block)
        return block

    def finish(self) -> Waveform:
        """The last samples."""
        tail = self._stages[0].finish()
        for stage in self._stages[1:]:
            tail = stage.push(tail)
            tail = np.concatenate([tail, stage.finish()])
        return tail
