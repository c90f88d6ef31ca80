"""`/v1/audio/speech/stream`: text comes in pieces, audio goes out as soon as a sentence is whole.

client  {"type": "session.config", ...fields of a speech request but `input`}
        {"type": "input.text", "text": ...}   {"type": "input.done"}   {"type": "session.close"}
server  {"type": "audio.start", "segment", "text", "format", "sample_rate"}, binary frames,
        {"type": "audio.done", "segment", "usage"}; {"type": "session.done"} after input.done;
        {"type": "error", "segment", "error": {...}} for a sentence that cannot be read: the next ones are spoken;
        {"type": "error", "error": {...}} for everything else, which ends the session
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from openbark.errors import OpenBarkError
from openbark.server.errors import ApiError, invalid, to_api_error
from openbark.server.http.middlewares import request_id_of
from openbark.server.http.validation import invalid_request
from openbark.server.settings import ServerSettings
from openbark.server.speakers.base import SpeechReport
from openbark.server.speech.output import usage_of
from openbark.server.speech.protocol import SpeechRequest
from openbark.server.speech.sentences import SentenceBuffer
from openbark.server.speech.serving import SpeechService

_log = logging.getLogger("openbark.server")

_CONFIG, _TEXT, _DONE, _CLOSE = "session.config", "input.text", "input.done", "session.close"
# Of RFC 6455 and its registry.
_GOING_AWAY, _POLICY, _INTERNAL, _TRY_LATER = 1001, 1008, 1011, 1013


@dataclass(eq=False)
class _Session:
    """The configuration and text of a client so far, and the sentences that wait to be spoken; None ends them."""

    config: dict[str, Any] = field(default_factory=dict)
    buffer: SentenceBuffer = field(default_factory=SentenceBuffer)
    sentences: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    waiting_chars: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether there are sentences that are not yet spoken."""
        return self.waiting_chars > 0

    async def add(self, text: str, limit: int) -> None:
        """More text; whole sentences go to be spoken. Raises ApiError beyond `limit` characters."""
        if self.waiting_chars + len(self.buffer) + len(text) > limit:
            raise invalid(
                "input_too_long",
                f"more than {limit} characters wait to be spoken; wait for audio.done before sending more",
                "text",
            )
        for sentence in await self.buffer.add(text):
            self._put(sentence)

    def finish(self) -> None:
        """No more text: what is left is spoken too."""
        for sentence in self.buffer.take_rest():
            self._put(sentence)
        self.sentences.put_nowait(None)

    def _put(self, sentence: str) -> None:
        self.waiting_chars += len(sentence)
        self.sentences.put_nowait(sentence)


def websocket_router(service: SpeechService) -> APIRouter:
    """The route of one service."""
    router = APIRouter()

    @router.websocket("/v1/audio/speech/stream")
    async def stream(socket: WebSocket) -> None:
        """One session."""
        await socket.accept()
        session = _Session()
        service.sessions.add(session)
        speaking = asyncio.ensure_future(_speak(socket, service, session))
        listening = asyncio.ensure_future(_listen(socket, session, service.settings))
        try:
            await asyncio.wait({speaking, listening}, return_when=asyncio.FIRST_COMPLETED)
            finished = speaking if speaking.done() else listening
            await finished
            if finished is listening:
                return
            await socket.close()
        except WebSocketDisconnect:
            return
        except TimeoutError:
            await socket.close(_GOING_AWAY, "idle")
        except Exception as error:
            await _fail(socket, error)
        finally:
            service.sessions.discard(session)
            for task in (speaking, listening):
                task.cancel()
            await asyncio.gather(speaking, listening, return_exceptions=True)

    return router


async def _fail(socket: WebSocket, error: Exception) -> None:
    """End a session with an error event. The client may be gone."""
    request_id = request_id_of(socket.scope)
    answer = to_api_error(error, request_id)
    if not isinstance(error, ApiError | OpenBarkError | MemoryError):
        _log.error("request %s failed", request_id, exc_info=error)
    codes = {500: _INTERNAL, 429: _TRY_LATER, 503: _TRY_LATER}
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_json({"type": "error", **answer.body})
        await socket.close(codes.get(answer.status, _POLICY))


async def _listen(socket: WebSocket, session: _Session, settings: ServerSettings) -> None:
    """Read messages until the client closes the session; a silent client is left once nothing is spoken."""
    done = False
    while True:
        idle = None if done or session.waiting_chars else settings.idle_timeout
        async with asyncio.timeout(idle):
            message = _message(await _received(socket), settings.max_body_bytes)
        kind = message.pop("type", None)
        if kind == _CLOSE:
            await socket.close()
            return
        if done:
            raise invalid("session_over", f"after {_DONE} only {_CLOSE} may come", "type")
        if kind == _CONFIG:
            session.config = message
        elif kind == _TEXT:
            await session.add(_text(message), settings.max_input_chars)
        elif kind == _DONE:
            session.finish()
            done = True
        else:
            allowed = ", ".join((_CONFIG, _TEXT, _DONE, _CLOSE))
            raise invalid("unknown_message", f"type is {kind!r}; allowed: {allowed}", "type")


async def _received(socket: WebSocket) -> str:
    """The next text frame. Raises ApiError for a binary one."""
    frame = await socket.receive()
    if frame["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(frame["code"])
    text = frame.get("text")
    if not isinstance(text, str):
        raise invalid(
            "invalid_message", "a binary frame came; send messages as text frames of JSON"
        )
    return text


async def _speak(socket: WebSocket, service: SpeechService, session: _Session) -> None:
    """Speak sentence after sentence until the session's text has ended."""
    segment = 0
    while (sentence := await session.sentences.get()) is not None:
        try:
            await _speak_sentence(socket, service, session, sentence, segment)
        except (ApiError, OpenBarkError) as error:
            answer = to_api_error(error, request_id_of(socket.scope))
            if (answer.status, answer.param) != (400, "input"):
                raise
            await socket.send_json({"type": "error", "segment": segment, **answer.body})
        session.waiting_chars -= len(sentence)
        segment += 1
    await socket.send_json({"type": "session.done", "segments": segment})


async def _speak_sentence(
    socket: WebSocket, service: SpeechService, session: _Session, sentence: str, segment: int
) -> None:
    owner: str = socket.state.key
    request = _request(session.config, sentence)
    job = await service.prepare(request, owner, f"{request_id_of(socket.scope)}.{segment}")
    reports: list[SpeechReport] = []
    begin = {
        "type": "audio.start",
        "segment": segment,
        "text": sentence.strip(),
        "format": request.response_format,
        "sample_rate": service.speaker.facts.sample_rate,
    }
    await socket.send_json(begin)
    async with aclosing(service.encoded(job, reports.append)) as parts:
        await _send_all(socket, parts, service.settings.slow_reader_timeout)
    usage = usage_of(reports[0]).model_dump()
    await socket.send_json({"type": "audio.done", "segment": segment, "usage": usage})


async def _send_all(socket: WebSocket, parts: AsyncIterator[bytes], timeout: float) -> None:
    async for data in parts:
        if data:
            async with asyncio.timeout(timeout):
                await socket.send_bytes(data)


def _message(text: str, limit: int) -> dict[str, Any]:
    if len(text) > limit:
        raise invalid("too_large", f"a message of {len(text)} characters came; allowed: {limit}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise invalid("invalid_json", f"the message is not JSON: {what}") from error
    if not isinstance(message, dict):
        raise invalid("invalid_json", "the message is not a JSON object with a 'type'")
    return message


def _text(message: dict[str, Any]) -> str:
    text = message.get("text")
    if not isinstance(text, str):
        raise invalid("input_invalid", "text is missing or not a text; allowed: a string", "text")
    return text


def _request(config: dict[str, Any], sentence: str) -> SpeechRequest:
    # A session has one configuration; what it says of the shape of an answer does not apply.
    try:
        return SpeechRequest.model_validate({**config, "input": sentence})
    except ValidationError as error:
        raise invalid_request(error.errors()) from error
