"""`/v1/audio/speech/stream`: text comes in pieces, audio goes out as soon as a sentence is whole.

client  {"type": "session.config", ...fields of a speech request but `input`}
        {"type": "input.text", "text": ...}   {"type": "input.done"}   {"type": "session.close"}
server  {"type": "audio.start", "segment", "text", "format", "sample_rate"}, binary frames,
        {"type": "audio.done", "segment", "usage"}; {"type": "session.done"} after input.done;
        {"type": "error", "error": {...}}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from openbark.errors import OpenBarkError
from openbark.server.errors import ApiError, invalid, to_api_error
from openbark.server.events import usage_of
from openbark.server.guard import request_id_of
from openbark.server.protocol import SpeechRequest
from openbark.server.sentences import whole_sentences
from openbark.server.serving import SpeechService
from openbark.server.settings import ServerSettings
from openbark.server.speaker import SpeechReport
from openbark.server.validation import invalid_request

__all__ = ["websocket_router"]

_CONFIG, _TEXT, _DONE, _CLOSE = "session.config", "input.text", "input.done", "session.close"
_GOING_AWAY, _POLICY = 1001, 1008


@dataclass
class _Session:
    """What a client has said so far, and the sentences that wait to be spoken; None ends them."""

    config: dict[str, Any] = field(default_factory=dict)
    buffer: str = ""
    sentences: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    waiting_chars: int = 0

    def add(self, text: str, limit: int) -> None:
        """More text; whole sentences go to be spoken. Raises ApiError beyond `limit` characters."""
        if self.waiting_chars + len(self.buffer) + len(text) > limit:
            raise invalid(
                "input_too_long", f"more than {limit} characters wait to be spoken", "text"
            )
        sentences, self.buffer = whole_sentences(self.buffer + text)
        for sentence in sentences:
            self._put(sentence)

    def finish(self) -> None:
        """No more text: what is left is spoken too."""
        if self.buffer.strip():
            self._put(self.buffer)
        self.buffer = ""
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
        except (ApiError, OpenBarkError) as error:
            answer = to_api_error(error, request_id_of(socket.scope))
            await socket.send_json({"type": "error", **answer.body})
            await socket.close(_POLICY)
        except TimeoutError:
            await socket.close(_GOING_AWAY, "idle")
        finally:
            for task in (speaking, listening):
                task.cancel()
            await asyncio.gather(speaking, listening, return_exceptions=True)

    return router


async def _listen(socket: WebSocket, session: _Session, settings: ServerSettings) -> None:
    """Read messages until the client closes the session; a silent client is left once nothing is spoken."""
    done = False
    while True:
        idle = None if done or session.waiting_chars else settings.idle_timeout
        async with asyncio.timeout(idle):
            message = _message(await socket.receive_text(), settings.max_body_bytes)
        kind = message.pop("type", None)
        if kind == _CLOSE:
            await socket.close()
            return
        if done:
            raise invalid("session_over", f"after {_DONE} only {_CLOSE} may come", "type")
        if kind == _CONFIG:
            session.config = message
        elif kind == _TEXT:
            session.add(_text(message), settings.max_input_chars)
        elif kind == _DONE:
            session.finish()
            done = True
        else:
            legal = ", ".join((_CONFIG, _TEXT, _DONE, _CLOSE))
            raise invalid("unknown_message", f"type is {kind!r}; legal: {legal}", "type")


async def _speak(socket: WebSocket, service: SpeechService, session: _Session) -> None:
    """Speak sentence after sentence until the session's text has ended."""
    owner: str = socket.state.key
    segment = 0
    while (sentence := await session.sentences.get()) is not None:
        request = _request(session.config, sentence)
        job = service.prepare(request, owner, f"{request_id_of(socket.scope)}.{segment}")
        await socket.send_json(
            {
                "type": "audio.start",
                "segment": segment,
                "text": sentence.strip(),
                "format": request.response_format,
                "sample_rate": service.speaker.sample_rate,
            }
        )
        reports: list[SpeechReport] = []
        async with aclosing(service.encoded(job, reports.append)) as parts:
            await _send_all(socket, parts, service.settings.slow_reader_timeout)
        usage = usage_of(reports[0]).model_dump()
        await socket.send_json({"type": "audio.done", "segment": segment, "usage": usage})
        session.waiting_chars -= len(sentence)
        segment += 1
    await socket.send_json({"type": "session.done", "segments": segment})


async def _send_all(socket: WebSocket, parts: AsyncIterator[bytes], timeout: float) -> None:
    async for data in parts:
        if data:
            async with asyncio.timeout(timeout):
                await socket.send_bytes(data)


def _message(text: str, limit: int) -> dict[str, Any]:
    if len(text) > limit:
        raise invalid("too_large", f"a message may have {limit} characters")
    try:
        message = json.loads(text)
    except ValueError as error:
        raise invalid("invalid_json", f"a message is no JSON: {error}") from error
    if not isinstance(message, dict):
        raise invalid("invalid_json", "a message is a JSON object with a 'type'")
    return message


def _text(message: dict[str, Any]) -> str:
    text = message.get("text")
    if not isinstance(text, str):
        raise invalid("input_invalid", f"text is {text!r}; legal: a string", "text")
    return text


def _request(config: dict[str, Any], sentence: str) -> SpeechRequest:
    try:
        return SpeechRequest.model_validate({**config, "input": sentence})
    except ValidationError as error:
        raise invalid_request(error.errors()) from error
