"""Voice folders as Coqui TTS keeps them: a sub-folder for each voice (docs/parity.md C20), or a file for each (C21).

    bark_voices/ljspeech/speaker.npz     0.22: beside the recording it was made from
    bark_voices/My_Voice.pth             0.27: named after the slug of "My Voice"; Suno's .npz as well

A `.pth` is read as data, without torch and without running anything. Knows no model and clones nothing.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.torch_file import read_torch_file
from openbark.errors import CheckpointError, VoiceError
from openbark.voices.npz import ARRAY_KEYS, MAX_VOICE_BYTES, check_keys
from openbark.voices.voice import Voice

_NPZ = ".npz"
_PICKLE = ".pth"
_AUDIO = (".wav", ".mp3", ".flac", ".ogg")
_NOT_WORD = re.compile(r"[^\w\s.-]")
_SPACES = re.compile(r"\s+")
_METADATA_KEY = "metadata"
_MODEL = "bark"
_TEXTS: Mapping[str, str] = MappingProxyType(
    {"speaker_id": "title", "created_at": "created_at", "coqui_version": "coqui_version"}
)
"""Coqui's texts about a voice, and what they are called in our metadata."""
_MAX_TEXT = 4096
_MAX_FILES = 100


def slug(name: str) -> str:
    """The file name that Coqui 0.27 makes of a speaker: "My Voice" is My_Voice (C21)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _SPACES.sub("_", _NOT_WORD.sub("", plain).strip())


def list_coqui_voices(folder: Path, *, sub_folders: bool = True) -> list[str]:
    """Names of the voices in a Coqui folder, sorted; with those of `sub_folders` (C20), voices that still
    need cloning included. Raises VoiceError when there is no such folder."""
    found = _index(folder)
    return sorted(name for name, place in found.items() if sub_folders or place.is_file())


def find_coqui_voice(folder: Path, speaker: str) -> Voice:
    """The voice `speaker` of a Coqui folder, by its name or by the slug of it.

    Raises VoiceError for an unknown name, for a sub-folder with no file or several to choose from, for
    voices that exist only as a recording, and for files that are no voice.
    """
    index = _index(folder)
    place = index.get(speaker) or index.get(slug(speaker))
    if place is None:
        near = difflib.get_close_matches(speaker, index, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        has = ", ".join(sorted(index)[:12]) or "no voices"
        raise VoiceError(f"unknown voice {speaker!r} in {folder}{hint} (it has {has})")
    file = _voice_file(place, speaker)
    return read_pth(file, speaker) if _kind(file) == _PICKLE else Voice.load(file, speaker)


def read_pth(path: Path, name: str | None = None) -> Voice:
    """The voice that Coqui 0.27 saved with torch: three tensors of tokens, and metadata (C21).

    Raises VoiceError when the file is missing, would run code when read (nothing is run), is damaged, too
    large, or the voice of another model.
    """
    if path.is_file() and path.stat().st_size > MAX_VOICE_BYTES:
        raise VoiceError(f"{path} is larger than {MAX_VOICE_BYTES} bytes; a voice is smaller")
    try:
        content = read_torch_file(path)
    except CheckpointError as error:
        raise VoiceError(f"cannot read a voice from {path}: {error}") from error
    if not isinstance(content, dict):
        raise VoiceError(f"{path} holds a {type(content).__name__}; a voice is a dictionary")
    metadata = content.get(_METADATA_KEY, {})
    _check_model(path, metadata)
    check_keys(content, str(path))
    arrays = {key: _tokens(path, key, content[key]) for key in ARRAY_KEYS.values()}
    return Voice.from_arrays(arrays, name or path.stem, _metadata(metadata))


def _check_model(path: Path, metadata: Any) -> None:
    model = metadata.get("model", {}) if isinstance(metadata, dict) else {}
    made_by = model.get("name", _MODEL) if isinstance(model, dict) else _MODEL
    if made_by != _MODEL:
        raise VoiceError(
            f"{path} is a voice of the model {made_by!r}; Bark reads those of {_MODEL!r}"
        )


def _tokens(path: Path, key: str, value: Any) -> Any:
    if not isinstance(value, StoredTensor):
        raise VoiceError(
            f"{path}: {key} is a {type(value).__name__}; it must be a tensor of tokens"
        )
    try:
        return value.integers()
    except CheckpointError as error:
        raise VoiceError(f"{path}: {key}: {error}") from error


def _metadata(found: Any) -> dict[str, Any]:
    """What Coqui notes about a voice, as far as it is short texts; a file may hold anything there."""
    if not isinstance(found, dict):
        return {}
    made = {ours: text for theirs, ours in _TEXTS.items() if _is_text(text := found.get(theirs))}
    files = found.get("source_files")
    if isinstance(files, (list, tuple)) and len(files) <= _MAX_FILES and all(map(_is_text, files)):
        made["source_files"] = list(files)
    return made


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _index(folder: Path) -> dict[str, Path]:
    """Names to what stands for them: a sub-folder, or a file. Names are compared, never made into paths."""
    if not folder.is_dir():
        raise VoiceError(f"no voice folder at {folder}; make it, with one sub-folder per voice")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            found[path.name] = path
        elif _kind(path) in (_NPZ, _PICKLE):
            previous = found.get(path.stem)
            if previous is None or (_kind(previous) == _PICKLE and _kind(path) == _NPZ):
                found[path.stem] = path
    return found


def _voice_file(place: Path, speaker: str) -> Path:
    if place.is_file():
        return place
    files = [path for path in sorted(place.iterdir()) if path.is_file()]
    arrays = [path for path in files if _kind(path) in (_NPZ, _PICKLE)]
    if len(arrays) > 1:
        raise VoiceError(
            f"{place} holds {len(arrays)} voice files ({', '.join(path.name for path in arrays)}); "
            f"keep one of them for the voice {speaker!r}"
        )
    if arrays:
        return arrays[0]
    recordings = [path for path in files if path.suffix.lower() in _AUDIO]
    if recordings:
        raise VoiceError(
            f"the voice {speaker!r} has to be cloned from {recordings[0]}, which this version does not "
            f"do; put an .npz voice into {place}"
        )
    raise VoiceError(f"{place} holds neither a voice (.npz, .pth) nor a recording")


def _kind(path: Path) -> str:
    return path.suffix.lower()
