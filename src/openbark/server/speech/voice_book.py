"""Every voice a client may name: the model's own, OpenAI's names for them, and the client's uploads.

A name that is not in the book is an error that lists the names that are; no other voice takes its place.
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openbark.errors import ParamError
from openbark.server.errors import ApiError, invalid
from openbark.server.speech.protocol import VoiceCard
from openbark.server.speech.uploads import StoredVoice, UploadedVoices
from openbark.text.split.sentence_words import LANGUAGES
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

_DEFAULT_MAP = "openai_voices.toml"
_MAX_LISTED = 30
_MAX_CACHED = 64
# Suno's presets and ours: v2/en_speaker_6, en_0. Any other name says nothing of a language.
_PRESET = re.compile(r"(?:v\d+/)?([a-z]{2})_(?:speaker_)?\d+")


def voice_language(name: str) -> str | None:
    """Language of a preset, by its name; None for every other voice."""
    found = _PRESET.fullmatch(name)
    return found[1] if found and found[1] in LANGUAGES else None


def read_voice_map(path: Path | None = None) -> Mapping[str, tuple[str, ...]]:
    """Names of clients to candidates among ours, of a TOML file or of the one inside the package.

    Raises ParamError saying what is wrong with the file.
    """
    label = str(path) if path is not None else _DEFAULT_MAP
    try:
        if path is None:
            text = (
                resources.files("openbark.server.speech").joinpath(_DEFAULT_MAP).read_text("utf-8")
            )
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
            f"the voice map {label} has {name} = {value!r}; allowed: a voice's name, or a list of names"
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
        self._cache: OrderedDict[str, Voice] = OrderedDict()
        self._lock = threading.Lock()
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

    def check(self, name: str, owner: str) -> None:
        """Raise ApiError 400 `voice_not_found`, listing the names, unless this caller has such a voice. Reads no
        file."""
        stored = self._uploads.find(name, owner) if self._uploads is not None else None
        if stored is None and self._target(name) is None:
            raise self._unknown(name, owner)

    def find(self, name: str, owner: str) -> Voice:
        """The voice a client means; its file is read once. Raises ApiError as `check`, and for one whose file is gone."""
        stored = self._uploads.find(name, owner) if self._uploads is not None else None
        if stored is not None and self._uploads is not None:
            return self._loaded_upload(self._uploads, stored, owner)
        target = self._target(name)
        if target is None:
            raise self._unknown(name, owner)
        return self._loaded(target, lambda: self._library.get(target))

    def voice_of(self, language: str) -> str | None:
        """A voice of the model for a language; None where nothing is known of its voices' languages. Raises ApiError
        400 where they all speak others."""
        known = {name: voice_language(name) for name in self._library.names}
        spoken = {code for code in known.values() if code is not None}
        if not spoken:
            return None
        if language not in spoken:
            raise invalid(
                "language_unsupported",
                f"no voice of this model speaks {language!r}; its voices speak {', '.join(sorted(spoken))}; name "
                "a voice to have it spoken all the same",
                "language",
            )
        return next(name for name, code in known.items() if code == language)

    def languages(self, name: str) -> list[str]:
        """Languages of a voice: its own where it is known, else all that the model's voices speak."""
        own = voice_language(self._mapped.get(name) or name)
        if own is not None:
            return [own]
        spoken = {voice_language(each) for each in self._library.names} - {None}
        return sorted(each for each in spoken if each) or ["en"]

    def cards(self, owner: str) -> list[VoiceCard]:
        """Entries of the list of voices for this caller."""
        own = [
            VoiceCard(id=name, name=name, language=voice_language(name))
            for name in self._library.names
        ]
        uploaded = self._uploads.of(owner) if self._uploads else ()
        theirs = [VoiceCard(id=v.id, name=v.name, uploaded=True) for v in uploaded]
        mapped = [
            VoiceCard(
                id=name,
                name=name,
                language=voice_language(target),
                metadata={"speaks_as": target},
            )
            for name, target in self._mapped.items()
            if target is not None
        ]
        return [*own, *theirs, *mapped]

    def _target(self, name: str) -> str | None:
        return name if name in self._library else self._mapped.get(name)

    def _loaded_upload(self, uploads: UploadedVoices, stored: StoredVoice, owner: str) -> Voice:
        if not uploads.is_kept(stored):
            # Another server on the same folder has removed it.
            with self._lock:
                self._cache.pop(stored.id, None)
            raise self._unknown(stored.name, owner)
        return self._loaded(stored.id, lambda: uploads.load(stored))

    def _loaded(self, key: str, load: Callable[[], Voice]) -> Voice:
        with self._lock:
            found = self._cache.get(key)
            if found is not None:
                self._cache.move_to_end(key)
                return found
        found = load()
        with self._lock:
            self._cache[key] = found
            while len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return found

    def _unknown(self, name: str, owner: str) -> ApiError:
        names = self.names(owner)
        listed = ", ".join(names[:_MAX_LISTED]) or "none"
        more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
        return invalid(
            "voice_not_found", f"there is no voice {name!r}; allowed: {listed}{more}", "voice"
        )
