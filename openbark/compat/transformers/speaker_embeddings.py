"""Voices as transformers stores them: three `.npy` files each, listed in a JSON index (parity C3, H32-H36).

A name is looked up in the index, and a path of the index must stay inside the folder. `.npz` files beside
them, and any by path, work too. Knows no torch.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.json_file import read_json
from openbark.errors import VoiceError
from openbark.files import write_atomically
from openbark.voices.library import VoiceLibrary
from openbark.voices.npz import ARRAY_KEYS, MAX_VOICE_BYTES
from openbark.voices.voice import Voice

__all__ = ["SpeakerEmbeddings"]

_SUFFIX = ".npz"
_ROOT_KEY = "repo_or_path"


class SpeakerEmbeddings:
    """The voices that a processor knows."""

    preset_shape: Mapping[str, int] = MappingProxyType(
        {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}
    )

    def __init__(
        self, index: Mapping[str, Any] | None = None, library: VoiceLibrary | None = None
    ) -> None:
        """index: transformers' dictionary, `repo_or_path` being the folder that its paths start from."""
        self.index = None if index is None else dict(index)
        self._library = library or VoiceLibrary()

    @classmethod
    def of_folder(cls, folder: Path, index_name: str | None, voices: Path) -> Self:
        """The index of a checkpoint folder, where it has one, and its own voices. The folder's place counts,
        not the one written in the index (H34)."""
        path = None if index_name is None else folder / index_name
        library = VoiceLibrary([voices])
        if path is None or not path.is_file():
            return cls(None, library)
        return cls(read_json(path) | {_ROOT_KEY: str(folder)}, library)

    @property
    def names(self) -> list[str]:
        """All names, those of the index first."""
        listed = [name for name in self.index or {} if name != _ROOT_KEY]
        return [*listed, *(name for name in self._library if name not in listed)]

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
                f"voice_preset is a {type(preset).__name__}; legal: a name, the path of an .npz, a "
                "dictionary of arrays"
            )
        return {key: np.array(getattr(voice, field_name)) for field_name, key in ARRAY_KEYS.items()}

    def _found(self, name: str) -> Voice:
        if self.index is not None and name in self.index and name != _ROOT_KEY:
            return self._indexed(name, self.index[name])
        if name in self._library:
            return self._library.get(name)
        path = Path(name if name.endswith(_SUFFIX) else f"{name}{_SUFFIX}")
        if path.is_file():
            return Voice.load(path)
        known = ", ".join(self.names[:12]) or "none"
        raise VoiceError(
            f"unknown voice {name!r}, and no file {path}; this processor knows: {known}"
        )

    def _indexed(self, name: str, paths: object) -> Voice:
        if not isinstance(paths, Mapping):
            raise VoiceError(f"voice {name!r}: its entry in the index is no dictionary of paths")
        root = Path(str((self.index or {}).get(_ROOT_KEY, "."))).absolute()
        arrays = {}
        for key in ARRAY_KEYS.values():
            if key not in paths:
                raise VoiceError(f"voice {name!r} lacks {key} in the index")
            arrays[key] = _read_array(_inside(root, str(paths[key]), name), name)
        return Voice.from_arrays(arrays, name)

    def save(self, folder: Path, index_name: str, directory: str) -> None:
        """Write every voice and the index (H35). Raises VoiceError."""
        if not self.names:
            return
        index: dict[str, Any] = {_ROOT_KEY: str(folder)}
        for name in self.names:
            entry = {}
            for key, array in self.arrays(name).items():
                relative = f"{directory}/{name}_{key}.npy"
                _write_array(_inside(folder.absolute(), relative, name), array)
                entry[key] = relative
            index[name] = entry
        write_atomically(folder / index_name, json.dumps(index, indent=1).encode())


def _inside(root: Path, relative: str, name: str) -> Path:
    """`relative` below `root`, judged by its spelling: hub caches hold links that lead elsewhere."""
    path = Path(os.path.normpath(root / relative))
    if not path.is_relative_to(os.path.normpath(root)):
        raise VoiceError(f"voice {name!r}: the path {relative!r} leads out of {root}")
    return path


def _read_array(path: Path, name: str) -> NDArray[Any]:
    if not path.is_file():
        raise VoiceError(f"voice {name!r}: no file {path}; download the checkpoint's voices again")
    if path.stat().st_size > MAX_VOICE_BYTES:
        raise VoiceError(f"voice {name!r}: {path} is larger than {MAX_VOICE_BYTES} bytes")
    try:
        array: NDArray[Any] = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:
        raise VoiceError(
            f"voice {name!r}: {path} cannot be read as an array of numbers ({error})"
        ) from error
    if not isinstance(array, np.ndarray):
        raise VoiceError(f"voice {name!r}: {path} is an archive, not one array")
    return array


def _write_array(path: Path, array: NDArray[np.int64]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise VoiceError(f"cannot write {path}: {error}") from error
