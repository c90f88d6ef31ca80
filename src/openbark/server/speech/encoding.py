"""The encoder of one answer: on threads, off the event loop, and one span for all of its work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from openbark.audio import AudioEncoder
from openbark.server.speakers.base import Block
from openbark.server.tracing import Tracing

__all__ = ["Encoding"]


class Encoding:
    """An encoder, and the time that it takes."""

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
