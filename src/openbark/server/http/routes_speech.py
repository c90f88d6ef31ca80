"""`/v1/audio/speech`, and the lists of models."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from openbark.server.http.middlewares import request_id_of
from openbark.server.http.responses import AudioResponse, unless_left
from openbark.server.speech.preparation import Job
from openbark.server.speech.protocol import (
    CONTENT_TYPES,
    ErrorResponse,
    ModelCard,
    ModelList,
    SpeechRequest,
)
from openbark.server.speech.serving import SpeechService

ERROR_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse}
    for status in (400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 503, 504, 507)
}
"""What every route may answer besides its own."""

_SPEECH_ANSWERS: dict[int | str, dict[str, Any]] = {
    **ERROR_ANSWERS,
    200: {
        "description": "the audio file, or server-sent events that carry it",
        "content": {
            **{kind.partition(";")[0]: {} for kind in CONTENT_TYPES.values()},
            "text/event-stream": {},
        },
    },
}


def speech_router(service: SpeechService) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(responses=ERROR_ANSWERS)
    started = int(time.time())

    @router.post("/v1/audio/speech", responses=_SPEECH_ANSWERS, response_class=Response)
    async def speech(body: SpeechRequest, request: Request) -> Response:
        """Speak a text."""
        job = await service.prepare(body, request.state.key, request_id_of(request.scope))
        if body.stream_format == "audio" and not body.stream:
            return await _whole(service, job, request)
        return _streamed(service, job)

    @router.get("/v1/models")
    @router.get("/v1/audio/models")
    async def models() -> ModelList:
        """The loaded model and the names that mean it."""
        return ModelList(
            data=[ModelCard(id=name, created=started) for name in service.models],
            models=[{"id": name} for name in service.models],
        )

    @router.get("/v1/models/{model_id:path}")
    async def model(model_id: str) -> ModelCard:
        """One model."""
        service.check_model(model_id)
        return ModelCard(id=model_id, created=started)

    return router


def _streamed(service: SpeechService, job: Job) -> Response:
    settings = service.settings
    is_events = job.request.stream_format == "sse"
    return AudioResponse(
        service.events(job) if is_events else service.encoded(job),
        "text/event-stream" if is_events else _content_type(service, job),
        service.content_headers(job),
        settings.total_timeout,
    )


async def _whole(service: SpeechService, job: Job, request: Request) -> Response:
    timeout = service.settings.total_timeout
    data, usage = await unless_left(request.receive, service.whole(job), timeout)
    headers = {
        **service.content_headers(job),
        "X-Input-Tokens": str(usage.input_tokens),
        "X-Output-Tokens": str(usage.output_tokens),
    }
    return Response(data, media_type=_content_type(service, job), headers=headers)


def _content_type(service: SpeechService, job: Job) -> str:
    return CONTENT_TYPES[job.request.response_format].format(rate=service.speaker.facts.sample_rate)
