"""Voices that clients uploaded, kept in a folder under ids of our own.

A client's name for a voice is text inside a JSON file, never part of a path. Knows no HTTP.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openbark.errors import VoiceError
from openbark.files import write_atomically
from openbark.voices.npz import ARRAY_KEYS, pack_npz
from openbark.voices.voice import Voice

__all__ = ["MAX_NAME", "Naming", "StoredVoice", "UploadedVoices", "voice_bytes"]

_log = logging.getLogger("openbark.server")

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


@dataclass(frozen=True, eq=False)
class Naming:
    """What an upload asks for. check: given the owner's voices, raises when this one may not be added."""

    name: str
    owner: str
    consent: str | None
    check: Callable[[Sequence[StoredVoice]], None]


class UploadedVoices:
    """The folder's voices, indexed once; safe to use from several threads.

    Raises VoiceError when the folder cannot be made. Files that are not ours, and damaged ones, are left alone.
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
        """A voice of this owner by id; None when it is missing or belongs to another key."""
        with self._lock:
            found = self._voices.get(voice_id)
        return found if found is not None and found.owner == owner else None

    def find(self, name: str, owner: str) -> StoredVoice | None:
        """A voice of this owner by id or name."""
        return self.get(name, owner) or next((v for v in self.of(owner) if v.name == name), None)

    def is_kept(self, stored: StoredVoice) -> bool:
        """Whether its file is there; one that another process removed is forgotten here too."""
        if self._path(stored.id).is_file():
            return True
        with self._lock:
            self._voices.pop(stored.id, None)
        return False

    def load(self, stored: StoredVoice) -> Voice:
        """The arrays of a voice. Raises VoiceError when its file is damaged."""
        try:
            return Voice.load(self._path(stored.id), stored.name)
        except VoiceError as error:
            _log.warning("the file of %s cannot be read: %s", stored.id, error)
            raise VoiceError(
                f"the file of the voice {stored.name!r} is damaged; delete it and upload it again"
            ) from error

    def add(self, voice: Voice, naming: Naming) -> StoredVoice:
        """Keep a voice. `naming.check` is asked, with the owner's voices, at the moment the name is taken, and
        raises where it may not be. Raises OSError when the folder cannot be written; then nothing is left of it."""
        stored = StoredVoice(
            f"voice_{secrets.token_hex(12)}",
            naming.name,
            naming.owner,
            int(time.time()),
            naming.consent,
        )
        with self._lock:
            naming.check([each for each in self._voices.values() if each.owner == naming.owner])
            self._voices[stored.id] = stored
        try:
            write_atomically(self._path(stored.id), voice_bytes(voice))
            # Last, since a voice without its JSON does not exist.
            write_atomically(self._card(stored.id), json.dumps(asdict(stored)).encode())
        except BaseException:
            with self._lock:
                self._voices.pop(stored.id, None)
            with suppress(OSError):
                self._path(stored.id).unlink(missing_ok=True)
            raise
        return stored

    def remove(self, voice_id: str, owner: str) -> bool:
        """Forget a voice of this owner; False when there is none. Raises OSError when its files cannot be removed;
        then it is still there."""
        stored = self.get(voice_id, owner)
        if stored is None:
            return False
        # First the JSON: without it the voice does not exist.
        self._card(voice_id).unlink(missing_ok=True)
        with self._lock:
            self._voices.pop(voice_id, None)
        self._path(voice_id).unlink(missing_ok=True)
        return True

    def _path(self, voice_id: str) -> Path:
        return self._directory / f"{voice_id}.npz"

    def _card(self, voice_id: str) -> Path:
        return self._directory / f"{voice_id}.json"


def voice_bytes(voice: Voice) -> bytes:
    """The file of a voice."""
    arrays = {key: getattr(voice, field_name) for field_name, key in ARRAY_KEYS.items()}
    return pack_npz(arrays, voice.metadata, voice.name or "the voice")


def _read(path: Path) -> StoredVoice | None:
    """The card of a voice; None, and a line in the log, for a file that is not one."""
    try:
        values: Mapping[str, Any] = MappingProxyType(json.loads(path.read_text(encoding="utf-8")))
        stored = StoredVoice(**values)
        texts = (stored.id, stored.name, stored.owner, stored.consent or "")
        is_card = all(isinstance(text, str) for text in texts) and isinstance(
            stored.created_at, int
        )
    except (OSError, ValueError, TypeError, RecursionError):
        is_card = False
    if not (is_card and _ID.fullmatch(stored.id) and path.stem == stored.id):
        _log.warning("%s is not the card of a voice; it is left alone", path.name)
        return None
    return stored
