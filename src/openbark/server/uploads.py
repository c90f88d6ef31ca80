"""Voices that clients uploaded, kept in a folder under ids of our own.

A client's name for a voice is text inside a JSON file, never part of a path. Knows no HTTP.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openbark.errors import VoiceError
from openbark.files import write_atomically
from openbark.voices.voice import Voice

__all__ = ["MAX_NAME", "StoredVoice", "UploadedVoices"]

MAX_NAME = 64
"""Letters in a client's name for a voice."""

_ID = re.compile(r"voice_[0-9a-f]{24}")


@dataclass(frozen=True)
class StoredVoice:
    """One uploaded voice. owner: name of the key that sent it; created_at: Unix seconds."""

    id: str
    name: str
    owner: str
    created_at: int
    consent: str | None = None


class UploadedVoices:
    """The folder's voices, indexed once; safe to use from several threads.

    Raises VoiceError when the folder cannot be made or written. Files that are not ours are left alone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VoiceError(f"voices cannot be kept in {directory}: {error}") from error
        self._voices = {
            stored.id: stored
            for path in sorted(directory.glob("voice_*.json"))
            if (stored := _read(path)) is not None and self._path(stored.id).is_file()
        }

    def of(self, owner: str) -> tuple[StoredVoice, ...]:
        """The voices of a key, oldest first."""
        with self._lock:
            mine = [voice for voice in self._voices.values() if voice.owner == owner]
        return tuple(sorted(mine, key=lambda voice: (voice.created_at, voice.id)))

    def get(self, voice_id: str, owner: str) -> StoredVoice | None:
        """A voice of this owner by id; None when it is missing or somebody else's."""
        with self._lock:
            found = self._voices.get(voice_id)
        return found if found is not None and found.owner == owner else None

    def find(self, name: str, owner: str) -> StoredVoice | None:
        """A voice of this owner by id or name."""
        return self.get(name, owner) or next((v for v in self.of(owner) if v.name == name), None)

    def load(self, stored: StoredVoice) -> Voice:
        """The arrays of a voice. Raises VoiceError when its file is damaged."""
        return Voice.load(self._path(stored.id), stored.name)

    def add(self, voice: Voice, name: str, owner: str, consent: str | None = None) -> StoredVoice:
        """Keep a voice. Raises VoiceError when the folder cannot be written."""
        stored = StoredVoice(
            f"voice_{secrets.token_hex(12)}", name, owner, int(time.time()), consent
        )
        voice.save(self._path(stored.id))
        try:
            # Last, since a voice without its JSON does not exist.
            write_atomically(self._card(stored.id), json.dumps(asdict(stored)).encode())
        except OSError as error:
            self._path(stored.id).unlink(missing_ok=True)
            raise VoiceError(f"the voice cannot be kept: {error}") from error
        with self._lock:
            self._voices[stored.id] = stored
        return stored

    def remove(self, voice_id: str, owner: str) -> bool:
        """Forget a voice of this owner; False when there is none."""
        if self.get(voice_id, owner) is None:
            return False
        with self._lock:
            self._voices.pop(voice_id, None)
        self._card(voice_id).unlink(missing_ok=True)
        self._path(voice_id).unlink(missing_ok=True)
        return True

    def _path(self, voice_id: str) -> Path:
        return self._directory / f"{voice_id}.npz"

    def _card(self, voice_id: str) -> Path:
        return self._directory / f"{voice_id}.json"


def _read(path: Path) -> StoredVoice | None:
    try:
        values: Mapping[str, Any] = MappingProxyType(json.loads(path.read_text(encoding="utf-8")))
        stored = StoredVoice(**values)
    except (OSError, ValueError, TypeError):
        return None
    return stored if _ID.fullmatch(str(stored.id)) and path.stem == stored.id else None
