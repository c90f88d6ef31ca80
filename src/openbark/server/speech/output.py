"""What becomes of the blocks of an utterance: another tempo, a file, server-sent events.

Stretching and encoding run on threads, off the event loop.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from openbark.audio import AudioEncoder, Waveform
from openbark.audio.edits import MAX_SPEED, MIN_SPEED, Stretcher
from openbark.server.speakers.base import Block, Speech, SpeechReport
from openbark.server.speech.protocol import Usage
from openbark.server.tracing import Tracing


class Tempo:
    """A stream of blocks at another tempo and the same pitch: `push` blocks, then `finish`. Of OpenAI's tempos, 0.25 to 4,
    one stretch makes those of its own range, two of the square root the others."""

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


class Encoding:
    """The encoder of one answer, and one span for all of its work."""

    def __init__(self, encoder: AudioEncoder, tracing: Tracing) -> None:
        self._encoder = encoder
        self._tracing = tracing
        self._began: float | None = None
        self._busy = 0.0

    async def write(self, block: Block) -> bytes:
        """The bytes that are ready."""
        return await self._timed(self._encoder.write, block)

    async def finish(self) -> bytes:
        """The last bytes."""
        data = await self._timed(self._encoder.finish)
        began = self._began or time.time()
        facts = {"openbark.busy_seconds": round(self._busy, 6)}
        self._tracing.span("encode", began, time.time() - began, facts)
        return data

    async def _timed(self, work: Callable[..., bytes], *arguments: Block) -> bytes:
        began = time.time()
        self._began = self._began or began
        data = await asyncio.to_thread(work, *arguments)
        self._busy += time.time() - began
        return data


def usage_of(report: SpeechReport) -> Usage:
    """What an utterance cost, in OpenAI's terms."""
    return Usage(
        input_tokens=report.input_tokens,
        output_tokens=report.output_tokens,
        total_tokens=report.input_tokens + report.output_tokens,
    )


async def ticking(
    blocks: AsyncGenerator[Block, None], seconds: float | None
) -> AsyncGenerator[Block | None, None]:
    """The blocks, and None whenever none came for a while."""
    waiting = asyncio.ensure_future(anext(blocks, None))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
            if not done:
                yield None
                continue
            block = waiting.result()
            if block is None:
                return
            yield block
            waiting = asyncio.ensure_future(anext(blocks, None))
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


def done_event(report: SpeechReport, seed: int) -> bytes:
    """The last one."""
    return event(
        "speech.audio.done",
        {
            "usage": usage_of(report).model_dump(),
            "seed": seed,
            "segments": [asdict(segment) for segment in report.segments],
        },
    )


def delta(data: bytes) -> bytes:
    """A piece of the audio file."""
    return event("speech.audio.delta", {"audio": base64.b64encode(data).decode()})


def event(kind: str, fields: dict[str, Any]) -> bytes:
    """One event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
