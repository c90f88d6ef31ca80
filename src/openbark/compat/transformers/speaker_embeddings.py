"""Voices as a processor of transformers knows them: an index of three `.npy` files each (docs/parity.md C3, H32-H36).

A name is looked up in the index, then in the checkpoint's own `voices`, then in the user's folders; an `.npz` by its
path works too. Reading and writing is `openbark.voices`'s. Knows no torch.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.formats.json_file import read_json
from openbark.errors import VoiceError
from openbark.files import write_atomically
from openbark.voices.library import VOICES_FOLDER, VoiceLibrary, user_folders
from openbark.voices.npz import ARRAY_KEYS
from openbark.voices.presets import stand_in
from openbark.voices.triplets import TABLE_FILE, Triplet
from openbark.voices.voice import Voice, check_name

_LOG = logging.getLogger(__name__)
_SUFFIX = ".npz"
_ROOT_KEY = "repo_or_path"


class SpeakerEmbeddings:
    """The voices that a processor knows."""

    preset_shape: Mapping[str, int] = MappingProxyType(
        {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}
    )

    def __init__(
        self, index: Mapping[str, Any] | None = None, own: VoiceLibrary | None = None
    ) -> None:
        """index: transformers' dictionary, `repo_or_path` being the folder that its paths start from; own:
        voices of the checkpoint that are not in it."""
        self.index = None if index is None else dict(index)
        self._own = own or VoiceLibrary()

    @classmethod
    def of_folder(cls, folder: Path, index_name: str | None) -> Self:
        """The index of a checkpoint folder, where it has one, and its own voices. The folder's place counts,
        not the one written in the index (H34)."""
        own = VoiceLibrary([folder / VOICES_FOLDER])
        path = None if index_name is None else folder / index_name
        if path is None:
            return cls(None, own)
        if not path.is_file():
            if not own or index_name != TABLE_FILE:
                _LOG.warning("%s is not there: no voices of it are known", path)
            return cls(None, own)
        return cls(read_json(path) | {_ROOT_KEY: str(folder)}, own)

    @property
    def names(self) -> list[str]:
        """All names of the checkpoint's voices, those of the index first."""
        listed = [name for name in self.index or {} if name != _ROOT_KEY]
        return [*listed, *(name for name in self._own if name not in listed)]

    def remove(self, names: Iterable[str]) -> None:
        """Take names out of the index."""
        for name in names:
            if self.index is not None:
                self.index.pop(name, None)

    def arrays(
        self, preset: str | os.PathLike[str] | Mapping[str, Any] | Voice
    ) -> dict[str, NDArray[np.int64]]:
        """The three arrays of a voice as int64. Raises VoiceError."""
        if isinstance(preset, Voice):
            voice = preset
        elif isinstance(preset, Mapping):
            voice = Voice.from_arrays(preset)
        elif isinstance(preset, (str, os.PathLike)):
            voice = self._found(os.fspath(preset))
        else:
            raise VoiceError(
                f"voice_preset is a {type(preset).__name__}; allowed: a name, the path of an .npz, a "
                "dictionary of arrays"
            )
        return {key: np.array(getattr(voice, field_name)) for field_name, key in ARRAY_KEYS.items()}

    def _found(self, name: str) -> Voice:
        if self.index is not None and name in self.index and name != _ROOT_KEY:
            return self._indexed(name, self.index[name])
        users = VoiceLibrary(user_folders(), [folder / TABLE_FILE for folder in user_folders()])
        for library in (self._own, users):
            if name in library:
                return library.get(name)
        path = Path(name if name.lower().endswith(_SUFFIX) else f"{name}{_SUFFIX}").expanduser()
        if path.is_file():
            return Voice.load(path)
        chosen = stand_in(name, self._own, "this model")
        if chosen is not None:
            return self._own.get(chosen)
        known = ", ".join(self.names[:12]) or "none"
        raise VoiceError(
            f"unknown voice {name!r}, and no file {path}; this processor knows: {known}"
        )

    def _indexed(self, name: str, files: object) -> Voice:
        if not isinstance(files, Mapping):
            raise VoiceError(f"voice {name!r}: its entry in the index is not a dictionary of paths")
        table = Path(str((self.index or {}).get(_ROOT_KEY, "."))).absolute() / TABLE_FILE
        return Voice.from_arrays(Triplet(table, name, files).read(), name)

    def save(self, folder: Path, index_name: str, directory: str) -> None:
        """Write every voice and the index (H35). Raises VoiceError."""
        if not self.names:
            return
        index: dict[str, Any] = {_ROOT_KEY: str(folder)}
        try:
            for name in self.names:
                check_name(name)
                files = {key: f"{directory}/{name}_{key}.npy" for key in ARRAY_KEYS.values()}
                for key, array in self.arrays(name).items():
                    _write_array(folder / files[key], array)
                index[name] = files
            write_atomically(folder / index_name, json.dumps(index, indent=1).encode())
        except OSError as error:
            raise VoiceError(f"cannot write the voices into {folder}: {error}") from error


def _write_array(path: Path, array: NDArray[np.int64]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
