"""The server-sent events of a speech: their bytes, and the ticks between them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Any

from openbark.server.speakers.base import Block, SpeechReport
from openbark.server.speech.protocol import Usage

__all__ = ["delta", "done_event", "event", "ticking", "usage_of"]


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
