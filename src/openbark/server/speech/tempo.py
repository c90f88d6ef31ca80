"""OpenAI's tempos, 0.25 to 4: one stretch within its own range, two of the square root beyond it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator

import numpy as np

from openbark.audio import Waveform
from openbark.audio.edits import MAX_SPEED, MIN_SPEED, Stretcher
from openbark.server.speakers.base import Block, Speech

__all__ = ["Tempo", "at_speed"]


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


async def at_speed(speech: Speech, speed: float, sample_rate: int) -> AsyncGenerator[Block, None]:
    """The blocks of an utterance at another tempo; the utterance is closed with it."""
    try:
        if speed == 1.0:
            async for block in speech:
                yield block
            return
        tempo = Tempo(speed, sample_rate)
        async for block in speech:
            yield await asyncio.to_thread(tempo.push, block)
        yield await asyncio.to_thread(tempo.finish)
    finally:
        await speech.aclose()
