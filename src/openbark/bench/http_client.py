"""A listener over HTTP: asks for a speech, notes when each piece of it comes, and plays it in its head.

A client of its own, on bare sockets: one that measures must cost less than what it measures.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

_BYTES_PER_SAMPLE = 2


@dataclass(eq=False)
class Heard:
    """What came of one request. status: 0 where the connection broke; pieces: (moment, audio seconds)."""

    asked: float
    status: int = 0
    ended: float = 0.0
    complete: bool = False
    pieces: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Audio that came."""
        return sum(length for _, length in self.pieces)

    @property
    def first_audio(self) -> float:
        """Seconds from the request to the first audio."""
        return self.pieces[0][0] - self.asked

    @property
    def answer_seconds(self) -> float:
        """Seconds from the request to the end of the answer."""
        return self.ended - self.asked

    def silence(self, reserve: float = 0.2) -> float:
        """Seconds in which playback, begun `reserve` seconds after the first audio, had run dry."""
        playing = self.pieces[0][0] + reserve
        gap = 0.0
        for moment, length in self.pieces:
            gap += max(0.0, moment - playing)
            playing = max(playing, moment) + length
        return gap


async def listen(
    host: str, port: int, body: dict[str, object], leave_after: float | None = None
) -> Heard:
    """Ask for raw samples and read them to the end, or leave after so many seconds."""
    data = json.dumps({**body, "response_format": "pcm"}).encode()
    heard = Heard(asked=time.perf_counter())
    try:
        async with asyncio.timeout(leave_after):
            await _ask(host, port, data, heard)
    except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
        pass
    heard.ended = time.perf_counter()
    return heard


async def _ask(host: str, port: int, data: bytes, heard: Heard) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        )
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        heard.status = int(head.split(" ", 2)[1])
        rate = _sample_rate(head)
        if heard.status != 200:
            await reader.read()
            heard.complete = True
            return
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
            heard.pieces.append((time.perf_counter(), size / _BYTES_PER_SAMPLE / rate))
        heard.complete = True
    finally:
        writer.transport.abort()


def _sample_rate(head: str) -> int:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name == "x-sample-rate":
            return int(value)
    return 1
