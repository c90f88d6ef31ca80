"""`/v1/audio/voices`: list, upload, fetch, forget."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from openbark.server.errors import ApiError, invalid, not_found, too_large
from openbark.server.http.routes_speech import ERROR_ANSWERS
from openbark.server.http.upload_reader import UploadReader
from openbark.server.speech.folder_store import stored
from openbark.server.speech.protocol import VoiceDeleted, VoiceList, VoiceObject
from openbark.server.speech.serving import SpeechService
from openbark.server.speech.uploads import (
    MAX_NAME,
    StoredVoice,
    UploadedVoices,
    new_voice,
    voice_bytes,
)

_ZIP = b"PK\x03\x04"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ID_SHAPE = re.compile(r"(voice|cons)_[0-9a-f]{24}", re.IGNORECASE)
# Windows keeps these names for devices, whatever follows a full stop.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
# Characters that are taken for one another, as what they look like.
_LOOKS = str.maketrans({"0": "o", "O": "o", "1": "l", "I": "l", "-": "_", ".": "_"})
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
        _check_room(service, uploads.of(owner))
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

        def check(others: Sequence[StoredVoice]) -> None:
            # Again, as other uploads may have ended meanwhile.
            _check_room(service, others)
            _check_free(name, [each.name for each in others])

        kept = new_voice(name, owner, consent or None)
        await stored(lambda: uploads.add(kept, voice_bytes(voice), check))
        return VoiceObject(id=kept.id, created_at=kept.created_at, name=kept.name, type="prompt")

    @router.get("/v1/audio/voices/{voice_id:path}", response_class=Response)
    async def fetch(voice_id: str, request: Request) -> Response:
        """The voice file of a voice."""
        owner = request.state.key
        try:
            data = await asyncio.to_thread(lambda: voice_bytes(service.book.find(voice_id, owner)))
        except ApiError as error:
            raise not_found("voice_not_found", error.message, "voice") from error
        return Response(data, media_type="application/x-npz")

    @router.delete("/v1/audio/voices/{voice_id:path}")
    async def forget(voice_id: str, request: Request) -> VoiceDeleted:
        """Forget an uploaded voice."""
        uploads = _uploads(service)
        found = uploads.get(voice_id, request.state.key)
        if found is None:
            raise not_found(
                "voice_not_found",
                f"you have uploaded no voice with the id {voice_id!r}",
                "voice_id",
            )
        await stored(uploads.remove, found)
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


def _check_room(service: SpeechService, voices: Sequence[StoredVoice]) -> None:
    limit = service.settings.voices_per_key
    if len(voices) >= limit:
        raise invalid(
            "too_many_voices", f"you have {limit} voices here, the limit; forget one first"
        )


def _check_name(service: SpeechService, name: str, owner: str) -> None:
    is_name = len(name) <= MAX_NAME and _NAME.fullmatch(name) and not name.endswith(".")
    if not is_name or _ID_SHAPE.fullmatch(name) or _DEVICES.fullmatch(name):
        raise invalid(
            "voice_name_invalid",
            f"{name!r} cannot name a voice; allowed: up to {MAX_NAME} letters a-z, digits, '.', '_' and '-', a "
            "letter or digit first, not the form of an id and not a name of a Windows device",
            "name",
        )
    _check_free(name, service.book.names(owner))


def _check_free(name: str, names: Sequence[str]) -> None:
    # 400, since clients repeat a 409.
    for other in names:
        if _looks(other) == _looks(name):
            same = "" if other == name else f", which looks like {name!r}"
            raise invalid(
                "voice_name_taken",
                f"there is a voice {other!r} already{same}; choose another",
                "name",
            )


def _looks(name: str) -> str:
    """A name with characters that look alike made equal."""
    return name.translate(_LOOKS).lower().replace("rn", "m").replace("vv", "w")
