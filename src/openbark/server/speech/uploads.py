"""Voices that clients uploaded, kept in a folder under ids of our own. Knows no HTTP."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from openbark.errors import VoiceError
from openbark.server.speech.folder_store import Card, FolderStore, new_id
from openbark.voices.npz import ARRAY_KEYS, pack_npz
from openbark.voices.voice import Voice

_log = logging.getLogger("openbark.server")

MAX_NAME = 64
"""Letters in a client's name for a voice."""


@dataclass(frozen=True)
class StoredVoice(Card):
    """One uploaded voice."""

    consent: str | None = None


class UploadedVoices(FolderStore[StoredVoice]):
    """The uploaded voices of a folder; one without its file does not exist."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, StoredVoice, "voice", "npz")
        self._cards = {key: card for key, card in self._cards.items() if self.path(card).is_file()}

    def find(self, name: str, owner: str) -> StoredVoice | None:
        """A voice of this owner by id or name."""
        return self.get(name, owner) or next((v for v in self.of(owner) if v.name == name), None)

    def is_kept(self, card: StoredVoice) -> bool:
        """Whether its file is there; one that another process removed is forgotten here too."""
        if self.path(card).is_file():
            return True
        self.forget(card)
        return False

    def load(self, card: StoredVoice) -> Voice:
        """The arrays of a voice. Raises VoiceError when its file is damaged."""
        try:
            return Voice.load(self.path(card), card.name)
        except VoiceError as error:
            _log.warning("the file of %s cannot be read: %s", card.id, error)
            raise VoiceError(
                f"the file of the voice {card.name!r} is damaged; delete it and upload it again"
            ) from error


def new_voice(name: str, owner: str, consent: str | None = None) -> StoredVoice:
    """A voice under an id of its own."""
    return StoredVoice(new_id("voice"), name, owner, int(time.time()), consent)


def voice_bytes(voice: Voice) -> bytes:
    """The file of a voice."""
    arrays = {key: getattr(voice, field_name) for field_name, key in ARRAY_KEYS.items()}
    return pack_npz(arrays, voice.metadata, voice.name or "the voice")
