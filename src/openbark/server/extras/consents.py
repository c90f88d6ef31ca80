"""Consents of people to the use of their voices: a recording of the words, its language, a name.

Kept as they came, beside the uploaded voices; their words are never judged. Knows no HTTP.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from openbark.errors import VoiceError
from openbark.files import write_atomically

__all__ = ["ConsentStore", "StoredConsent", "new_consent"]

_log = logging.getLogger("openbark.server")

_ID = re.compile(r"cons_[0-9a-f]{24}")


@dataclass(frozen=True)
class StoredConsent:
    """One consent. language: BCP 47; owner: name of the key that sent it; created_at: Unix seconds."""

    id: str
    name: str
    language: str
    owner: str
    created_at: int


class ConsentStore:
    """The consents of a folder, indexed once; safe to use from several threads.

    Raises VoiceError when the folder cannot be made. Files that are not ours, and damaged ones, are left alone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VoiceError(f"consents cannot be kept in {directory}: {error}") from error
        found = (_read(path) for path in sorted(directory.glob("cons_*.json")))
        self._consents = {consent.id: consent for consent in found if consent is not None}

    def of(self, owner: str) -> list[StoredConsent]:
        """The consents of a key, newest first."""
        with self._lock:
            mine = [each for each in self._consents.values() if each.owner == owner]
        return sorted(mine, key=lambda each: (-each.created_at, each.id))

    def get(self, consent_id: str, owner: str) -> StoredConsent | None:
        """A consent of this owner; None when it is missing or belongs to another key."""
        with self._lock:
            found = self._consents.get(consent_id)
        return found if found is not None and found.owner == owner else None

    def add(self, recording: bytes, consent: StoredConsent, limit: int) -> bool:
        """Keep a consent; False where its owner has `limit` of them. Raises OSError when the folder cannot be
        written; then nothing is left of it."""
        with self._lock:
            if sum(each.owner == consent.owner for each in self._consents.values()) >= limit:
                return False
            self._consents[consent.id] = consent
        try:
            write_atomically(self._path(consent.id, "audio"), recording)
            self._write_card(consent)
        except BaseException:
            with self._lock:
                self._consents.pop(consent.id, None)
            with suppress(OSError):
                self._path(consent.id, "audio").unlink(missing_ok=True)
            raise
        return True

    def rename(self, consent: StoredConsent, name: str) -> StoredConsent:
        """Give a consent another name. Raises OSError."""
        renamed = replace(consent, name=name)
        self._write_card(renamed)
        with self._lock:
            self._consents[consent.id] = renamed
        return renamed

    def remove(self, consent: StoredConsent) -> None:
        """Forget a consent and its recording. Raises OSError when its files cannot be removed; then it is still
        there."""
        self._path(consent.id, "json").unlink(missing_ok=True)
        with self._lock:
            self._consents.pop(consent.id, None)
        self._path(consent.id, "audio").unlink(missing_ok=True)

    def _path(self, consent_id: str, suffix: str) -> Path:
        return self._directory / f"{consent_id}.{suffix}"

    def _write_card(self, consent: StoredConsent) -> None:
        data = json.dumps(asdict(consent)).encode()
        write_atomically(self._path(consent.id, "json"), data)


def new_consent(name: str, language: str, owner: str) -> StoredConsent:
    """A consent under an id of its own."""
    return StoredConsent(f"cons_{secrets.token_hex(12)}", name, language, owner, int(time.time()))


def _read(path: Path) -> StoredConsent | None:
    """The card of a consent; None, and a line in the log, for a file that is not one."""
    try:
        consent = StoredConsent(**json.loads(path.read_text(encoding="utf-8")))
        texts = (consent.id, consent.name, consent.language, consent.owner)
        is_card = all(isinstance(text, str) for text in texts) and isinstance(
            consent.created_at, int
        )
    except (OSError, ValueError, TypeError, RecursionError):
        is_card = False
    if not (is_card and _ID.fullmatch(consent.id) and path.stem == consent.id):
        _log.warning("%s is not the card of a consent; it is left alone", path.name)
        return None
    return consent
