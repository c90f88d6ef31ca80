"""Many texts in one request: OpenAI's batch lines in, one answer line each out, in order.

A line that is wrong or fails has its error in its own answer; the others go on. Each line has a place of its own,
and only a few are checked and spoken at a time.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from openbark.server.errors import ApiError, internal_error, invalid, to_api_error
from openbark.server.http.middlewares import request_id_of
from openbark.server.http.responses import AudioResponse
from openbark.server.http.routes_speech import ERROR_ANSWERS
from openbark.server.http.validation import check_json_type, invalid_request
from openbark.server.speech.protocol import SpeechRequest, Usage
from openbark.server.speech.serving import SpeechService

_URL = "/v1/audio/speech"
_AT_ONCE = 4
_FULL = (429, 503)


class BatchLine(BaseModel):
    """One line of a batch file."""

    model_config = ConfigDict(extra="forbid")

    custom_id: str = Field(min_length=1, max_length=512)
    method: str = "POST"
    url: str = _URL
    body: dict[str, Any]


def batch_router(service: SpeechService) -> APIRouter:
    """The route of one service."""
    router = APIRouter(responses=ERROR_ANSWERS)

    @router.post("/v1/audio/speech/batch", response_class=Response)
    async def batch(request: Request) -> Response:
        """Speak the lines of an OpenAI batch file (JSON lines of custom_id, method, url, body); each answer
        line carries its audio in base64, in the order of the lines."""
        check_json_type(request.headers.get("content-type"))
        owner, request_id = request.state.key, request_id_of(request.scope)
        service.check_room(owner)
        data = await request.body()
        lines = await asyncio.to_thread(read_lines, data, service.settings.max_batch_lines)
        return AudioResponse(
            answer_lines(service, lines, owner, request_id),
            "application/jsonl",
            {"X-Accel-Buffering": "no"},
        )

    return router


def read_lines(data: bytes, limit: int) -> list[BatchLine]:
    """The lines of a batch body. Raises ApiError for a body that is not a batch: no lines, more than `limit`, one
    that is not a line, a custom_id twice."""
    # Not splitlines, which also cuts at characters that JSON allows inside a string.
    lines = [line for line in data.split(b"\n") if line.strip()]
    if not lines or len(lines) > limit:
        raise invalid("batch_size", f"the body has {len(lines)} lines; allowed: 1 to {limit}")
    seen: set[str] = set()
    found = []
    for number, raw in enumerate(lines, 1):
        line = _line(raw, number)
        if line.custom_id in seen:
            raise invalid(
                "duplicate_id",
                f"line {number}: custom_id {line.custom_id!r} was used before; give each line its own",
            )
        seen.add(line.custom_id)
        found.append(line)
    return found


async def answer_lines(
    service: SpeechService, lines: Iterable[BatchLine], owner: str, request_id: str
) -> AsyncGenerator[bytes, None]:
    """One JSON line for each line, in order; a few are spoken at once. Ends all of them when it is closed."""
    at_once = min(_AT_ONCE, service.settings.streams_per_key)
    running: deque[asyncio.Task[bytes]] = deque()
    try:
        for number, line in enumerate(lines, 1):
            if len(running) == at_once:
                yield await running[0]
                running.popleft()
            answer = _answer(service, line, owner, f"{request_id}.{number}")
            running.append(asyncio.ensure_future(answer))
        while running:
            yield await running[0]
            running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _line(raw: bytes, number: int) -> BatchLine:
    try:
        line = BatchLine.model_validate_json(raw)
    except ValidationError as error:
        found = invalid_request(error.errors())
        raise invalid("invalid_line", f"line {number}: {found.message}", found.param) from error
    if (line.method, line.url) != ("POST", _URL):
        raise invalid(
            "invalid_line",
            f"line {number} asks for {line.method} {line.url}; allowed: POST {_URL}",
        )
    return line


async def _answer(service: SpeechService, line: BatchLine, owner: str, request_id: str) -> bytes:
    try:
        request = SpeechRequest.model_validate(line.body)
        data, usage, seed = await _spoken(service, request, owner, request_id)
    except ValidationError as error:
        response = _error(invalid_request(error.errors()))
    except Exception as error:
        found = to_api_error(error, request_id)
        if found.code == internal_error(request_id).code:
            service.log_bug(request_id, error)
        response = _error(found)
    else:
        response = {
            "status_code": 200,
            "request_id": request_id,
            "body": {
                "audio": base64.b64encode(data).decode(),
                "format": request.response_format,
                "seed": seed,
                "usage": usage.model_dump(),
            },
        }
    answer = {"custom_id": line.custom_id, "response": response, "error": None}
    return json.dumps(answer).encode() + b"\n"


def _error(error: ApiError) -> dict[str, Any]:
    return {"status_code": error.status, "body": error.body}


async def _spoken(
    service: SpeechService, request: SpeechRequest, owner: str, request_id: str
) -> tuple[bytes, Usage, int]:
    """The file of a line. A line waits while the server is full: its batch was admitted."""
    job = await service.prepare(request, owner, request_id, waits=True)
    clock = asyncio.get_running_loop().time
    end = clock() + service.settings.progress_timeout
    while True:
        # Without room by then the line is refused as any request is.
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await service.admission.wait_for_room(owner, job.estimate.held)
        try:
            data, usage = await service.whole(job)
        except ApiError as error:
            if error.status not in _FULL or clock() > end:
                raise
        else:
            return data, usage, job.seed
