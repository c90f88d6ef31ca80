"""Consents of people to the use of their voices: a recording of the words, its language, a name.

Kept as they came, beside the uploaded voices; their words are never judged. Knows no HTTP.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from openbark.errors import VoiceError
from openbark.files import write_atomically

__all__ = ["ConsentStore", "StoredConsent"]

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

    Raises VoiceError when the folder cannot be made or written.
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
        """A consent of this owner; None when it is missing or somebody else's."""
        with self._lock:
            found = self._consents.get(consent_id)
        return found if found is not None and found.owner == owner else None

    def add(self, recording: bytes, name: str, language: str, owner: str) -> StoredConsent:
        """Keep a consent."""
        consent = StoredConsent(
            f"cons_{secrets.token_hex(12)}", name, language, owner, int(time.time())
        )
        self._write(self._directory / f"{consent.id}.audio", recording)
        self._keep(consent)
        return consent

    def rename(self, consent: StoredConsent, name: str) -> StoredConsent:
        """Give a consent another name."""
        renamed = replace(consent, name=name)
        self._keep(renamed)
        return renamed

    def remove(self, consent: StoredConsent) -> None:
        """Forget a consent and its recording."""
        with self._lock:
            self._consents.pop(consent.id, None)
        for suffix in ("json", "audio"):
            (self._directory / f"{consent.id}.{suffix}").unlink(missing_ok=True)

    def _keep(self, consent: StoredConsent) -> None:
        self._write(self._directory / f"{consent.id}.json", json.dumps(asdict(consent)).encode())
        with self._lock:
            self._consents[consent.id] = consent

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data)
        except OSError as error:
            raise VoiceError(f"the consent cannot be kept: {error}") from error


def _read(path: Path) -> StoredConsent | None:
    try:
        consent = StoredConsent(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return consent if _ID.fullmatch(str(consent.id)) and path.stem == consent.id else None
