"""`/v1/audio/voices`: list, upload, fetch, forget."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from openbark.server.errors import ApiError, invalid, not_found, too_large
from openbark.server.protocol import VoiceDeleted, VoiceList, VoiceObject
from openbark.server.routes_speech import ERROR_ANSWERS
from openbark.server.serving import SpeechService
from openbark.server.upload_reader import UploadReader
from openbark.server.uploads import MAX_NAME, UploadedVoices
from openbark.voices.voice import Voice

__all__ = ["voices_router"]

_ZIP = b"PK\x03\x04"
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]+")
_PROMPT_TYPE = "prompt"


def voices_router(service: SpeechService, reader: UploadReader) -> APIRouter:
    """The routes of one service, whose uploads `reader` reads."""
    router = APIRouter(responses=ERROR_ANSWERS)

    @router.get("/v1/audio/voices")
    async def voices(request: Request) -> VoiceList:
        """Every voice this caller may name."""
        cards = service.book.cards(request.state.key)
        return VoiceList(voices=cards, data=cards)

    @router.post("/v1/audio/voices")
    async def upload(
        request: Request,
        name: Annotated[str, Form(description="what to call it")],
        audio_sample: Annotated[UploadFile, File(description="a voice file (.npz)")],
        consent: Annotated[str | None, Form(max_length=2000)] = None,
        type: Annotated[str | None, Form(description="prompt: a voice file")] = None,
    ) -> VoiceObject:
        """Keep a voice under a name."""
        owner: str = request.state.key
        uploads = _uploads(service)
        _check_room(service, uploads, owner)
        _check_name(service, name, owner)
        limit = service.settings.max_upload_bytes
        data = await audio_sample.read(limit + 1)
        if len(data) > limit:
            raise too_large(f"the file is larger than {limit} bytes", "audio_sample")
        if not data.startswith(_ZIP) or type not in (None, _PROMPT_TYPE):
            raise invalid(
                "media_unsupported",
                "this server takes voice files (.npz, type 'prompt'); it does not make voices from "
                "recordings yet: make one with `openbark voices`, then upload it",
                "audio_sample",
                status=415,
            )
        voice = await reader.voice(data, name)
        await asyncio.to_thread(service.speaker.check_voice, voice)
        stored = await asyncio.to_thread(uploads.add, voice, name, owner, consent)
        return VoiceObject(
            id=stored.id, created_at=stored.created_at, name=stored.name, type="prompt"
        )

    @router.get("/v1/audio/voices/{voice_id:path}", response_class=Response)
    async def fetch(voice_id: str, request: Request) -> Response:
        """The voice file of a voice."""
        try:
            voice = service.book.find(voice_id, request.state.key)
        except ApiError as error:
            raise not_found("voice_not_found", error.message, "voice") from error
        data = await asyncio.to_thread(_write, voice)
        return Response(data, media_type="application/x-npz")

    @router.delete("/v1/audio/voices/{voice_id:path}")
    async def forget(voice_id: str, request: Request) -> VoiceDeleted:
        """Forget an uploaded voice."""
        uploads = _uploads(service)
        if not await asyncio.to_thread(uploads.remove, voice_id, request.state.key):
            raise not_found(
                "voice_not_found",
                f"you have uploaded no voice with the id {voice_id!r}",
                "voice_id",
            )
        return VoiceDeleted(id=voice_id, deleted=True)

    return router


def _uploads(service: SpeechService) -> UploadedVoices:
    uploads = service.book.uploads
    if uploads is None:
        raise ApiError(
            403,
            "permission_error",
            "not_allowed",
            "this server keeps no voices; start it with --data-directory to allow it",
        )
    return uploads


def _check_room(service: SpeechService, uploads: UploadedVoices, owner: str) -> None:
    limit = service.settings.voices_per_key
    if len(uploads.of(owner)) >= limit:
        raise invalid(
            "too_many_voices", f"you have {limit} voices here, the limit; forget one first"
        )


def _check_name(service: SpeechService, name: str, owner: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise invalid(
            "voice_name_invalid",
            f"a voice needs a name of up to {MAX_NAME} printable letters",
            "name",
        )
    if name in service.book.names(owner):
        # 400, since clients repeat a 409.
        raise invalid("voice_name_taken", f"there is a voice {name!r} already", "name")


def _write(voice: Voice) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voice.npz"
        voice.save(path)
        return path.read_bytes()
