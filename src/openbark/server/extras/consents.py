"""Consents of people to the use of their voices. `/v1/audio/voice_consents`: create, list, retrieve, update, delete,
as OpenAI's client names them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel, Field

from openbark.errors import AudioError
from openbark.server.errors import ApiError, invalid, not_found, too_large
from openbark.server.http.routes_speech import ERROR_ANSWERS
from openbark.server.http.upload_reader import UploadReader
from openbark.server.speech.folder_store import Card, FolderStore, new_id, stored
from openbark.server.speech.serving import SpeechService

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MAX_NAME = 200


@dataclass(frozen=True)
class StoredConsent(Card):
    """The consent of a person to the use of their voice: a recording of the words, whose language (BCP 47) is known.
    Kept as it came; its words are never judged."""

    language: str


class ConsentStore(FolderStore[StoredConsent]):
    """The consents of a folder."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, StoredConsent, "cons", "audio")

    def of(self, owner: str) -> list[StoredConsent]:
        """The consents of a key, newest first."""
        return sorted(super().of(owner), key=lambda each: (-each.created_at, each.id))


def new_consent(name: str, language: str, owner: str) -> StoredConsent:
    """A consent under an id of its own."""
    return StoredConsent(new_id("cons"), name, owner, int(time.time()), language)


class Consent(BaseModel):
    """One consent."""

    id: str
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    created_at: int
    name: str
    language: str


class ConsentList(BaseModel):
    """All of a caller's, newest first."""

    object: Literal["list"] = "list"
    data: list[Consent]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None


class ConsentDeleted(BaseModel):
    """A consent that is gone."""

    id: str
    deleted: bool
    object: Literal["audio.voice_consent.deleted"] = "audio.voice_consent.deleted"


class Rename(BaseModel):
    """Body of an update."""

    name: str = Field(min_length=1, max_length=_MAX_NAME)


def consents_router(
    service: SpeechService, store: ConsentStore | None, reader: UploadReader
) -> APIRouter:
    """The routes; without a store they say that nothing is kept. `reader` listens to recordings."""
    router = APIRouter(prefix="/v1/audio/voice_consents", responses=ERROR_ANSWERS)

    def kept() -> ConsentStore:
        if store is None:
            raise ApiError(
                403,
                "permission_error",
                "not_allowed",
                "this server keeps no consents; start it with --data-directory to allow it",
            )
        return store

    def found(consent_id: str, request: Request) -> StoredConsent:
        consent = kept().get(consent_id, request.state.key)
        if consent is None:
            message = f"you have no consent with the id {consent_id!r}"
            raise not_found("consent_not_found", message, "consent_id")
        return consent

    @router.post("")
    async def create(
        request: Request,
        recording: Annotated[UploadFile, File(description="the person saying that they agree")],
        name: Annotated[str, Form(min_length=1, max_length=_MAX_NAME)],
        language: Annotated[str, Form(description="BCP 47, such as en-US")],
    ) -> Consent:
        """Keep a consent."""
        keeper = kept()
        _check_language(language)
        _check_name(name)
        most = service.settings.voices_per_key
        _check_room(keeper.of(request.state.key), most)
        limit = service.settings.max_upload_bytes
        data = await recording.read(limit + 1)
        if len(data) > limit:
            raise too_large(f"the recording is larger than {limit} bytes", "recording")
        try:
            await reader.recording(data)
        except AudioError as error:
            raise invalid("media_unsupported", str(error), "recording", status=415) from error
        consent = new_consent(name, language, request.state.key)
        # Asked again, as other uploads may have ended meanwhile.
        await stored(keeper.add, consent, data, lambda others: _check_room(others, most))
        return _shown(consent)

    @router.get("")
    async def listed(request: Request) -> ConsentList:
        """All of this caller's."""
        data = [_shown(each) for each in kept().of(request.state.key)]
        ids = [each.id for each in data]
        return ConsentList(
            data=data, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None
        )

    @router.get("/{consent_id}")
    async def retrieve(consent_id: str, request: Request) -> Consent:
        """One consent."""
        return _shown(found(consent_id, request))

    @router.post("/{consent_id}")
    async def update(consent_id: str, body: Rename, request: Request) -> Consent:
        """Another name for it."""
        consent = found(consent_id, request)
        _check_name(body.name)
        return _shown(await stored(kept().replace, replace(consent, name=body.name)))

    @router.delete("/{consent_id}")
    async def delete(consent_id: str, request: Request) -> ConsentDeleted:
        """Forget it and its recording."""
        await stored(kept().remove, found(consent_id, request))
        return ConsentDeleted(id=consent_id, deleted=True)

    return router


def _check_language(language: str) -> None:
    if not _LANGUAGE.fullmatch(language):
        raise invalid(
            "language_invalid",
            f"language is {language!r}; allowed: a code such as en or en-US",
            "language",
        )


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable():
        raise invalid(
            "name_invalid",
            f"name is {name!r}; allowed: printable characters, not only spaces",
            "name",
        )


def _check_room(consents: Sequence[StoredConsent], most: int) -> None:
    if len(consents) >= most:
        raise invalid(
            "too_many_consents", f"you have {most} consents here, the limit; delete one first"
        )


def _shown(consent: StoredConsent) -> Consent:
    return Consent(
        id=consent.id, created_at=consent.created_at, name=consent.name, language=consent.language
    )
