"""What belongs to a speech besides its sound: how its text would be cut, its subtitles, a voice made of it.

Each takes the body of a speech request; with the seed of an earlier answer it is about that very audio.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from openbark.server.errors import invalid
from openbark.server.http.middlewares import request_id_of
from openbark.server.http.responses import unless_left
from openbark.server.http.routes_speech import ERROR_ANSWERS
from openbark.server.speakers.base import SpeechReport
from openbark.server.speech.protocol import SpeechPlan, SpeechRequest
from openbark.server.speech.serving import SpeechService
from openbark.server.speech.uploads import voice_bytes
from openbark.text.timings import TextTiming, format_timings

_TYPES = {"srt": "application/x-subrip", "vtt": "text/vtt", "json": "application/json"}


def takes_router(service: SpeechService) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(responses=ERROR_ANSWERS)

    async def report(body: SpeechRequest, request: Request) -> SpeechReport:
        job = await service.prepare(body, request.state.key, request_id_of(request.scope))
        timeout = service.settings.total_timeout
        _, found = await unless_left(request.receive, service.spoken(job), timeout)
        return found

    @router.post("/v1/audio/speech/plan")
    async def plan(body: SpeechRequest, request: Request) -> SpeechPlan:
        """The pieces that the text would be spoken in; no audio is made."""
        job = await service.prepare(body, request.state.key, request_id_of(request.scope))
        found = await service.plan(job)
        return SpeechPlan.model_validate(found.to_dict())

    @router.post("/v1/audio/speech/timings", response_class=Response)
    async def timings(
        body: SpeechRequest,
        request: Request,
        format: Annotated[Literal["srt", "vtt", "json"], Query()] = "srt",
        words: Annotated[bool, Query(description="a cue for each word; estimated")] = False,
    ) -> Response:
        """Subtitles of the audio that the same request and seed give."""
        if body.speed != 1.0:
            raise invalid("speed_out_of_range", "subtitles are made at speed 1", "speed")
        found = await report(body, request)
        sentences, position = [], 0
        for segment in found.segments:
            stop = position + len(segment.text)
            sentences.append(TextTiming(segment.text, segment.start, segment.end, position, stop))
            position = stop + 1
        return Response(format_timings(sentences, format, words), media_type=_TYPES[format])

    @router.post("/v1/audio/speech/voice", response_class=Response)
    async def voice(body: SpeechRequest, request: Request) -> Response:
        """A voice file (.npz) that goes on from the audio that the same request and seed give."""
        found = await report(body, request)
        if found.voice is None:
            raise invalid(
                "audio_too_short", "the speech is too short to make a voice of; say more", "input"
            )
        data = await asyncio.to_thread(voice_bytes, found.voice)
        return Response(data, media_type="application/x-npz")

    return router
