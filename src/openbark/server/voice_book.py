"""Every voice a client may name: the model's own, OpenAI's names for them, and the client's uploads.

A name that is not in the book is an error that lists the names that are; no other voice takes its place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openbark.errors import ParamError
from openbark.server.errors import ApiError, invalid
from openbark.server.protocol import VoiceCard
from openbark.server.uploads import UploadedVoices
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

__all__ = ["VoiceBook", "read_voice_map"]

_DEFAULT_MAP = "openai_voices.toml"
_MAX_LISTED = 30


def read_voice_map(path: Path | None = None) -> Mapping[str, tuple[str, ...]]:
    """Names of clients to candidates among ours, of a TOML file or of the one inside the package.

    Raises ParamError saying what is wrong with the file.
    """
    label = str(path) if path is not None else _DEFAULT_MAP
    try:
        if path is None:
            text = resources.files("openbark.server").joinpath(_DEFAULT_MAP).read_text("utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParamError(f"the voice map {label} cannot be read: {error}") from error
    return MappingProxyType(
        {name: _candidates(name, table, label) for name in _names(table, label)}
    )


def _names(table: Mapping[str, Any], label: str) -> list[str]:
    voices = table.get("voices")
    if not isinstance(voices, dict):
        raise ParamError(f'the voice map {label} needs a table [voices] of NAME = "voice" lines')
    return list(voices)


def _candidates(name: str, table: Mapping[str, Any], label: str) -> tuple[str, ...]:
    value = table["voices"][name]
    found = [value] if isinstance(value, str) else value
    if not (isinstance(found, list) and found and all(isinstance(item, str) for item in found)):
        raise ParamError(
            f"the voice map {label} has {name} = {value!r}; legal: a voice's name, or a list of names"
        )
    return tuple(found)


class VoiceBook:
    """Looks voices up by name, for one loaded model."""

    def __init__(
        self,
        library: VoiceLibrary,
        names: Mapping[str, tuple[str, ...]],
        uploads: UploadedVoices | None = None,
        spread: bool = False,
    ) -> None:
        """names: as `read_voice_map` gives them. spread: a name without a candidate among the model's voices
        speaks with one of them all the same, in turn, so that clients with fixed names need no settings."""
        self._library = library
        self._uploads = uploads
        own = library.names
        self._mapped = {
            name: next(
                (c for c in candidates if c in library),
                own[index % len(own)] if spread and own else None,
            )
            for index, (name, candidates) in enumerate(names.items())
        }

    @property
    def uploads(self) -> UploadedVoices | None:
        """Where uploads are kept, if they are."""
        return self._uploads

    def names(self, owner: str) -> list[str]:
        """What this caller may say, the model's names first."""
        uploaded = [voice.name for voice in self._uploads.of(owner)] if self._uploads else []
        mapped = [name for name, target in self._mapped.items() if target is not None]
        return [*self._library.names, *uploaded, *mapped]

    def find(self, name: str, owner: str) -> Voice:
        """The voice a client means. Raises ApiError 400 `voice_not_found` listing the legal names."""
        if self._uploads is not None:
            stored = self._uploads.find(name, owner)
            if stored is not None:
                return self._uploads.load(stored)
        target = name if name in self._library else self._mapped.get(name)
        if target is not None:
            return self._library.get(target)
        raise self._unknown(name, owner)

    def cards(self, owner: str) -> list[VoiceCard]:
        """Entries of the list of voices for this caller."""
        own = [VoiceCard(id=name, name=name) for name in self._library.names]
        uploaded = self._uploads.of(owner) if self._uploads else ()
        theirs = [VoiceCard(id=v.id, name=v.name, uploaded=True) for v in uploaded]
        mapped = [
            VoiceCard(id=name, name=name, metadata={"speaks_as": target})
            for name, target in self._mapped.items()
            if target is not None
        ]
        return [*own, *theirs, *mapped]

    def _unknown(self, name: str, owner: str) -> ApiError:
        names = self.names(owner)
        listed = ", ".join(names[:_MAX_LISTED]) or "none"
        more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
        return invalid(
            "voice_not_found", f"there is no voice {name!r}; legal: {listed}{more}", "voice"
        )
