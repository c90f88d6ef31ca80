"""The Wyoming protocol, as Home Assistant speaks it: text in over TCP, sound out in pieces.

    describe -> info; synthesize -> audio-start, audio-chunk..., audio-stop
    synthesize-start, synthesize-chunk..., synthesize-stop -> the same, sentence by sentence, synthesize-stopped

Needs the extra [wyoming]. The protocol has no keys: it listens where the server does, on a port of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from openbark import __version__
from openbark.audio import pcm16
from openbark.errors import OpenBarkError
from openbark.server.errors import ApiError, invalid, to_api_error
from openbark.server.protocol import SpeechRequest
from openbark.server.sentences import whole_sentences
from openbark.server.serving import SpeechService
from openbark.server.settings import ServerSettings

__all__ = ["WyomingServer"]

_log = logging.getLogger("openbark.server")

_ATTRIBUTION = Attribution(name="OpenBark", url="https://github.com/openbark/openbark")
_WIDTH = 2


class WyomingServer:
    """Serves one speech service to any number of Wyoming clients."""

    def __init__(self, service: SpeechService) -> None:
        self._service = service
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which is a free one for 0. Raises OSError."""
        self._server = await asyncio.start_server(self._connected, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening, and leave every client."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await _Conversation(self._service, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            return
        except (ValueError, KeyError, TypeError) as error:
            # What is no event ends the conversation, and only that.
            _log.info("a Wyoming client sent what is no event: %s", type(error).__name__)
        finally:
            writer.close()


class _BoundedReader:
    """What events are read from: each within its time, none larger than a body over HTTP may be."""

    def __init__(self, reader: asyncio.StreamReader, settings: ServerSettings) -> None:
        self._reader = reader
        self._settings = settings

    async def readline(self) -> bytes:
        async with asyncio.timeout(self._settings.total_timeout):
            return await self._reader.readline()

    async def readexactly(self, n: int) -> bytes:
        if n > self._settings.max_body_bytes:
            raise ValueError(f"an event of {n} bytes")
        async with asyncio.timeout(self._settings.body_timeout):
            return await self._reader.readexactly(n)


class _Conversation:
    """One client: events are answered in order."""

    def __init__(
        self, service: SpeechService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._service = service
        # Only the two ways of reading that an event needs.
        self._reader: Any = _BoundedReader(reader, service.settings)
        self._writer = writer
        self._streaming: SynthesizeStart | None = None
        self._buffer = ""

    async def run(self) -> None:
        while (event := await async_read_event(self._reader)) is not None:
            try:
                await self._answer(event)
            except (ApiError, OpenBarkError) as error:
                answer = to_api_error(error, "wyoming")
                self._streaming, self._buffer = None, ""
                await self._write(Error(text=answer.message, code=answer.code).event())

    async def _answer(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self._write(self._info().event())
        elif SynthesizeStart.is_type(event.type):
            self._streaming, self._buffer = SynthesizeStart.from_event(event), ""
        elif SynthesizeChunk.is_type(event.type):
            await self._chunk(SynthesizeChunk.from_event(event).text)
        elif SynthesizeStop.is_type(event.type):
            await self._stop()
        elif Synthesize.is_type(event.type) and self._streaming is None:
            # Clients that stream send the whole text as well, for servers that cannot.
            wanted = Synthesize.from_event(event)
            await self._say([wanted.text], wanted.voice)

    async def _chunk(self, text: str) -> None:
        if self._streaming is None:
            raise invalid("unknown_message", "a synthesize-chunk comes after a synthesize-start")
        if len(self._buffer) + len(text) > self._service.settings.max_input_chars:
            raise invalid("input_too_long", "the text is longer than this server takes")
        sentences, self._buffer = whole_sentences(self._buffer + text)
        await self._say(sentences, self._streaming.voice)

    async def _stop(self) -> None:
        if self._streaming is not None and self._buffer.strip():
            await self._say([self._buffer], self._streaming.voice)
        self._streaming, self._buffer = None, ""
        await self._write(SynthesizeStopped().event())

    async def _say(self, texts: list[str], voice: SynthesizeVoice | None) -> None:
        rate = self._service.speaker.sample_rate
        name = voice.name if voice is not None else None
        for text in texts:
            request = SpeechRequest(input=text, voice=name, response_format="pcm")
            job = self._service.prepare(request, "", "wyoming")
            begun = False
            async with aclosing(self._service.blocks(job)) as blocks:
                async for block in blocks:
                    if not begun:
                        begun = True
                        await self._write(AudioStart(rate=rate, width=_WIDTH, channels=1).event())
                    audio = pcm16(block).astype("<i2").tobytes()
                    chunk = AudioChunk(rate=rate, width=_WIDTH, channels=1, audio=audio)
                    await self._write(chunk.event())
            await self._write(AudioStop().event())

    async def _write(self, event: Event) -> None:
        async with asyncio.timeout(self._service.settings.slow_reader_timeout):
            await async_write_event(event, self._writer)

    def _info(self) -> Info:
        return Info(
            tts=[
                TtsProgram(
                    name="openbark",
                    description="Text to speech with Bark",
                    attribution=_ATTRIBUTION,
                    installed=True,
                    version=__version__,
                    voices=list(self._voices()),
                    supports_synthesize_streaming=True,
                )
            ]
        )

    def _voices(self) -> Iterator[TtsVoice]:
        for card in self._service.book.cards(""):
            yield TtsVoice(
                name=card.id,
                description=card.name,
                attribution=_ATTRIBUTION,
                installed=True,
                version=None,
                languages=[_language(card.id)],
            )


def _language(voice: str) -> str:
    """Suno's names begin with the language, behind the generation."""
    head = voice.rpartition("/")[2].partition("_")[0]
    return head if len(head) == 2 and head.isalpha() else "en"
