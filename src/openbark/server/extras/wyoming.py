"""The Wyoming protocol, as Home Assistant speaks it: text in over TCP, sound out in pieces.

    describe -> info; synthesize -> audio-start, audio-chunk..., audio-stop
    synthesize-start, synthesize-chunk..., synthesize-stop -> the same, sentence by sentence, synthesize-stopped
    whatever goes wrong -> error, and the end of the connection: clients read until the audio or the connection ends

Needs the extra [wyoming]. The protocol has no keys: it listens where the server does, on a port of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from pydantic import ValidationError
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
)

from openbark import __version__
from openbark.audio import pcm16
from openbark.errors import OpenBarkError
from openbark.server.errors import ApiError, invalid, to_api_error
from openbark.server.http.validation import invalid_request
from openbark.server.settings import ServerSettings
from openbark.server.speech.protocol import SpeechRequest
from openbark.server.speech.sentences import SentenceBuffer
from openbark.server.speech.serving import SpeechService

_log = logging.getLogger("openbark.server")

_ATTRIBUTION = Attribution(name="OpenBark", url="https://github.com/openbark/openbark")
_WIDTH = 2
_IDLE_SECONDS = 600.0
# What a client was still sending is read for so long, that it gets the error before the end of the connection.
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1 << 20
_FORMATS = {"text": "off", "ssml": "ssml"}
_REQUEST_ID = "wyoming"

_T = TypeVar("_T")


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
        conversation = _Conversation(self._service, reader, writer)
        self._service.sessions.add(conversation)
        try:
            await conversation.run()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            return
        except asyncio.CancelledError:
            # By `close`; asyncio would log it as a failure.
            return
        finally:
            self._service.sessions.discard(conversation)
            writer.close()


class _BoundedReader:
    """What events are read from: each within its time, none larger than a body over HTTP may be."""

    def __init__(self, reader: asyncio.StreamReader, settings: ServerSettings) -> None:
        self._reader = reader
        self._settings = settings

    async def readline(self) -> bytes:
        # Between two events a client may be silent; an event that has begun has to come.
        async with asyncio.timeout(_IDLE_SECONDS):
            first = await self._reader.read(1)
        if first in (b"", b"\n"):
            return first
        async with asyncio.timeout(self._settings.body_timeout):
            return first + await self._reader.readline()

    async def readexactly(self, n: int) -> bytes:
        if n > self._settings.max_body_bytes:
            raise ValueError(f"an event of {n} bytes")
        async with asyncio.timeout(self._settings.body_timeout):
            return await self._reader.readexactly(n)

    async def drop_rest(self) -> None:
        """Read what is still coming, for a while."""
        n_bytes = 0
        async with asyncio.timeout(_LINGER_SECONDS):
            while n_bytes < _LINGER_BYTES and (data := await self._reader.read(1 << 16)):
                n_bytes += len(data)


class _Conversation:
    """One client: events are answered in order, until the first error."""

    def __init__(
        self, service: SpeechService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._service = service
        # Only the two ways of reading that an event needs.
        self._reader = _BoundedReader(reader, service.settings)
        self._writer = writer
        self._streaming: SynthesizeStart | None = None
        self._buffer = SentenceBuffer()
        self.is_busy = False

    async def run(self) -> None:
        """Answer events until the client leaves. After an error the connection ends, once the error is sent."""
        try:
            while (event := await self._next_event()) is not None:
                self.is_busy = True
                await self._answer(event)
                self.is_busy = self._streaming is not None
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            raise
        except Exception as error:
            if not isinstance(error, ApiError | OpenBarkError | MemoryError):
                _log.error("a Wyoming request failed", exc_info=error)
            await self._fail(to_api_error(error, _REQUEST_ID))
        finally:
            self.is_busy = False

    async def _next_event(self) -> Event | None:
        reader: Any = self._reader
        try:
            event = await async_read_event(reader)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            raise
        except Exception as error:
            raise _no_event(error) from error
        if event is not None and not (isinstance(event.type, str) and isinstance(event.data, dict)):
            raise _no_event(TypeError("type or data"))
        return event

    async def _fail(self, error: ApiError) -> None:
        text = error.message.encode("utf-8", "replace").decode()
        with suppress(ConnectionError, TimeoutError):
            await self._write(Error(text=text, code=error.code).event())
            self._writer.write_eof()
            await self._reader.drop_rest()

    async def _answer(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self._write(self._info().event())
        elif SynthesizeStart.is_type(event.type):
            self._streaming = _parsed(SynthesizeStart.from_event, event)
            self._buffer = SentenceBuffer()
        elif SynthesizeChunk.is_type(event.type):
            await self._chunk(_text(_parsed(SynthesizeChunk.from_event, event).text))
        elif SynthesizeStop.is_type(event.type):
            await self._stop()
        elif Synthesize.is_type(event.type) and self._streaming is None:
            # Clients that stream send the whole text as well, for servers that cannot.
            wanted = _parsed(Synthesize.from_event, event)
            await self._say(_text(wanted.text), wanted)

    async def _chunk(self, text: str) -> None:
        if self._streaming is None:
            raise invalid("unknown_message", "a synthesize-chunk comes after a synthesize-start")
        limit = self._service.settings.max_input_chars
        if len(self._buffer) + len(text) > limit:
            raise invalid("input_too_long", f"the text is longer than {limit} characters")
        if _script(self._streaming) != "off":
            # Markup cannot be cut into sentences before it is whole.
            self._buffer.keep(text)
            return
        for sentence in await self._buffer.add(text):
            await self._say(sentence, self._streaming)

    async def _stop(self) -> None:
        streaming, self._streaming = self._streaming, None
        if streaming is not None:
            is_text = _script(streaming) == "off"
            for text in self._buffer.take_rest() if is_text else self._buffer.take_all():
                await self._say(text, streaming)
        await self._write(SynthesizeStopped().event())

    async def _say(self, text: str, wanted: Synthesize | SynthesizeStart) -> None:
        rate = self._service.speaker.facts.sample_rate
        job = await self._service.prepare(_request(text, wanted), "", _REQUEST_ID)
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
                languages=self._service.book.languages(card.id),
            )


def _parsed(read: Callable[[Event], _T], event: Event) -> _T:
    if not isinstance(event.data.get("voice", {}), dict):
        raise _no_event(TypeError("voice"))
    try:
        return read(event)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _no_event(error) from error


def _no_event(error: Exception) -> ApiError:
    message = f"a message is not an event of the Wyoming protocol ({type(error).__name__})"
    return invalid("invalid_event", message)


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise invalid("input_invalid", "text is not a text; allowed: a string", "text")
    return text


def _script(wanted: Synthesize | SynthesizeStart) -> str:
    """How the text is to be read, by its `text_format`."""
    given = wanted.text_format
    if given is None:
        return "off"
    name = str(getattr(given, "value", given))
    if name not in _FORMATS:
        raise invalid(
            "text_format_unsupported",
            f"text_format is {name!r}; allowed: {', '.join(_FORMATS)}",
            "text_format",
        )
    return _FORMATS[name]


def _request(text: str, wanted: Synthesize | SynthesizeStart) -> SpeechRequest:
    voice = wanted.voice
    fields = {
        "input": text,
        "response_format": "pcm",
        "script": _script(wanted),
        "voice": voice.name if voice is not None else None,
        "language": voice.language if voice is not None else None,
    }
    try:
        return SpeechRequest.model_validate(fields)
    except ValidationError as error:
        raise invalid_request(error.errors()) from error
