"""Voices as transformers keeps them: a table of names, and three `.npy` files for each (docs/parity.md C3).

    speaker_embeddings_path.json
        {"repo_or_path": ..., "v2/en_speaker_6": {"semantic_prompt": "speaker_embeddings/...npy", ...}, ...}

Only the table is read to know the names. Paths in it may not leave its folder. Knows no model.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import VoiceError
from openbark.files import write_atomically
from openbark.voices.npy import decode_npy
from openbark.voices.npz import ARRAY_KEYS, MAX_VOICE_BYTES, check_keys
from openbark.voices.voice import check_name

TABLE_FILE = "speaker_embeddings_path.json"
"""Name that transformers gives the table (H34)."""

_REPOSITORY_KEY = "repo_or_path"


@dataclass(frozen=True, slots=True)
class Triplet:
    """One entry of a table: where each of the three arrays is, relative to the table's folder."""

    table: Path
    name: str
    files: Mapping[str, Any]

    def read(self) -> dict[str, NDArray[Any]]:
        """The three arrays under Suno's keys. Raises VoiceError naming the file that is at fault."""
        label = f"{self.table}: voice {self.name!r}"
        check_keys(self.files, label)
        return {key: self._array(key, label) for key in ARRAY_KEYS.values()}

    def _array(self, key: str, label: str) -> NDArray[Any]:
        given = self.files[key]
        if not isinstance(given, str):
            raise VoiceError(f"{label}: {key} must be the path of an .npy file, is {given!r}")
        relative = PurePosixPath(given.replace("\\", "/"))
        root = self.table.parent.resolve()
        path = (root / relative).resolve()
        # A download cache keeps its files as links, which may lead elsewhere; the spelling may not.
        if relative.is_absolute() or ".." in relative.parts or ":" in given or "\0" in given:
            raise VoiceError(
                f"{label}: {key} is {given!r}, outside the table's folder; "
                "it must be a relative path below it"
            )
        if not path.is_file():
            raise VoiceError(f"{label}: {key} is not at {path}; fetch the whole voice")
        if path.stat().st_size > MAX_VOICE_BYTES:
            raise VoiceError(f"{path} is larger than {MAX_VOICE_BYTES} bytes; it is not a voice")
        return decode_npy(path.read_bytes(), str(path))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file about voices. Raises VoiceError for a file that is too large or is no JSON object."""
    try:
        if path.stat().st_size > MAX_VOICE_BYTES:
            raise VoiceError(
                f"{path} is larger than {MAX_VOICE_BYTES} bytes; it is not a voice table"
            )
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, VoiceError):
            raise
        raise VoiceError(f"{path} cannot be read as a voice table ({error})") from error
    if not isinstance(content, dict):
        raise VoiceError(f"{path} must be a JSON object of voices, is a {type(content).__name__}")
    return content


def read_table(path: Path) -> dict[str, Triplet]:
    """The voices of a `speaker_embeddings_path.json`, by name; the arrays stay unread.

    Raises VoiceError when the table is too large, is not a JSON object, or an entry is not an object.
    """
    content = read_object(path)
    table = {}
    for name, files in content.items():
        if name == _REPOSITORY_KEY:
            continue
        if not isinstance(files, dict):
            raise VoiceError(
                f"{path}: voice {name!r} must be an object of three paths, is {files!r}"
            )
        table[name] = Triplet(path, name, files)
    return table


def write_table(folder: Path, voices: Mapping[str, Mapping[str, NDArray[Any]]]) -> Path:
    """Write voices as transformers' `save_pretrained` lays them out: arrays under Suno's keys for each name,
    and the table last (H35). Returns the table's path; voices already in it stay.

    Raises VoiceError for a name that would leave the folder, or when a file cannot be written.
    """
    table = folder / TABLE_FILE
    entries: dict[str, Any] = {_REPOSITORY_KEY: "."}
    if table.exists():
        entries |= {name: dict(triplet.files) for name, triplet in read_table(table).items()}
    for name, arrays in voices.items():
        check_name(name)
        entries[name] = {key: f"speaker_embeddings/{name}_{key}.npy" for key in ARRAY_KEYS.values()}
        try:
            for key, relative in entries[name].items():
                path = folder / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                buffer = io.BytesIO()
                np.save(buffer, arrays[key], allow_pickle=False)
                write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise VoiceError(f"cannot write voice {name!r} into {folder}: {error}") from error
    try:
        write_atomically(table, json.dumps(entries, ensure_ascii=False, indent=2).encode())
    except OSError as error:
        raise VoiceError(f"cannot write {table}: {error}") from error
    return table
