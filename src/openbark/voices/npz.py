"""Suno's voice files: an `.npz` of `semantic_prompt`, `coarse_prompt`, `fine_prompt` (docs/parity.md C3), and our metadata.

Reads files of unknown origin: never unpickles, and bounds what it unpacks before it does. Knows no model
and does not judge the arrays: that is `openbark.voices.voice`.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import VoiceError
from openbark.files import check_writable, write_atomically
from openbark.voices.npy import read_npy

ARRAY_KEYS: Mapping[str, str] = MappingProxyType(
    {"semantic": "semantic_prompt", "coarse": "coarse_prompt", "fine": "fine_prompt"}
)
"""Our names of the three arrays and Suno's, which dictionaries and files use (C3)."""

_FIELDS = MappingProxyType({key: field_name for field_name, key in ARRAY_KEYS.items()})
_DIMENSIONS = MappingProxyType({"semantic": "[T]", "coarse": "[K, F]", "fine": "[K, F]"})

MAX_VOICE_BYTES = 64 * 2**20
"""Most that a voice file may hold, unpacked. Suno's largest preset has 90 kB."""

_METADATA_KEY = "metadata"
_TEXT_KEYS: Mapping[str, str] = MappingProxyType({"name": "title", "desc": "description"})
"""What Bark Infinity adds, and the metadata it becomes."""
_MAX_TEXT_BYTES = 2**16
_SUFFIX = ".npy"
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    NotImplementedError,
    RuntimeError,
)
"""What numpy, zipfile and their decompressors raise for damaged, encrypted or exotic files."""


@dataclass(frozen=True, eq=False)
class VoiceFile:
    """What a voice file holds: arrays under Suno's keys, and metadata."""

    arrays: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, Any]


def check_keys(keys: Collection[str], label: str) -> None:
    """Raise VoiceError naming the arrays that `keys` lacks."""
    missing = [key for key in ARRAY_KEYS.values() if key not in keys]
    if missing:
        found = ", ".join(sorted(str(key) for key in keys)[:12]) or "nothing"
        raise VoiceError(
            f"{label} lacks {', '.join(missing)} (it has: {found}); "
            f"a voice is {', '.join(ARRAY_KEYS.values())}"
        )


def read_npz(source: Path) -> VoiceFile:
    """Read the three arrays and `metadata` (JSON text) of a voice file.

    The texts `name` and `desc` that Bark Infinity adds become the metadata `title` and `description`;
    arrays under other keys are left alone.
    Raises VoiceError when the file is missing, is not an npz, lacks an array, holds pickled objects, or is
    too large.
    """
    try:
        size = source.stat().st_size if source.is_file() else None
    except (OSError, ValueError) as error:
        raise VoiceError(f"cannot read the voice file {source}: {error}") from error
    if size is None:
        raise VoiceError(f"no voice file at {source}")
    if size > MAX_VOICE_BYTES:
        raise VoiceError(f"{source} is larger than {MAX_VOICE_BYTES} bytes; it is not a voice")
    return _unpack(source, str(source), MAX_VOICE_BYTES)


def unpack_npz(data: bytes, label: str, max_bytes: int = MAX_VOICE_BYTES) -> VoiceFile:
    """`read_npz` of a file that is in memory, of at most `max_bytes` unpacked; errors begin with `label`."""
    return _unpack(io.BytesIO(data), label, max_bytes)


def check_tokens(field_name: str, shape: tuple[int, ...], dtype: np.dtype[Any], label: str) -> None:
    """Raise VoiceError unless an array of this shape and dtype can be the tokens of that field."""
    if dtype.kind not in "iu":
        raise VoiceError(
            f"{label}: {field_name} holds {dtype} values; tokens are whole numbers (int64)"
        )
    dimensions = _DIMENSIONS[field_name]
    if len(shape) != dimensions.count(",") + 1:
        raise VoiceError(f"{label}: {field_name} has shape {list(shape)}; it must be {dimensions}")


def _unpack(source: Path | io.BytesIO, label: str, max_bytes: int) -> VoiceFile:
    try:
        with zipfile.ZipFile(source) as archive:
            return _read(archive, label, max_bytes)
    except VoiceError:
        raise
    except _UNREADABLE as error:
        raise VoiceError(
            f"{label} cannot be read as a voice ({error}); a voice is an .npz file with "
            f"{', '.join(ARRAY_KEYS.values())}"
        ) from error


def check_target(target: Path) -> None:
    """Raise VoiceError unless a voice file can be written at `target`."""
    if target.suffix.lower() != ".npz":
        raise VoiceError(f"a voice file must end in .npz: {target}")
    try:
        check_writable(target)
    except OSError as error:
        raise _unwritable(target, error) from error


def write_npz(
    target: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write a file that Suno's, Coqui's and Infinity's loaders read too; whole or not at all.

    Raises VoiceError when the file cannot be written, or the metadata is not JSON.
    """
    check_target(target)
    data = pack_npz(arrays, metadata, target.stem)
    try:
        write_atomically(target, data)
    except OSError as error:
        raise _unwritable(target, error) from error


def pack_npz(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any], name: str) -> bytes:
    """The content of such a file. Raises VoiceError when the metadata is not JSON."""
    stored = {key: arrays[key] for key in ARRAY_KEYS.values()}
    if metadata:
        try:
            text = json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True)
        except TypeError as error:
            raise VoiceError(f"metadata of {name} cannot be saved: {error}") from error
        stored[_METADATA_KEY] = np.array(text)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **stored)
    return buffer.getvalue()


def _read(archive: zipfile.ZipFile, source: str, max_bytes: int) -> VoiceFile:
    members = {
        member.filename.removesuffix(_SUFFIX): member
        for member in archive.infolist()
        if member.filename.endswith(_SUFFIX)
    }
    check_keys(members, source)
    wanted = [key for key in (*ARRAY_KEYS.values(), _METADATA_KEY) if key in members]
    unpacked = sum(members[key].file_size for key in wanted)
    if unpacked > max_bytes:
        raise VoiceError(f"{source} unpacks to {unpacked} bytes; a voice has at most {max_bytes}")
    arrays = {key: _array(archive, members[key], source) for key in wanted}
    metadata = _metadata(arrays.pop(_METADATA_KEY, None), source)
    return VoiceFile(arrays, {**_texts(archive, members, source), **metadata})


def _texts(
    archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], source: str
) -> dict[str, str]:
    """Infinity's texts. What else hides under these names (pickled strings of old versions) stays unread."""
    texts = {}
    for key, field_name in _TEXT_KEYS.items():
        if key not in members or members[key].file_size > _MAX_TEXT_BYTES:
            continue
        try:
            array = _array(archive, members[key], source)
        except VoiceError:
            continue
        if array.dtype.kind == "U" and array.size == 1:
            texts[field_name] = str(array.reshape(-1)[0])
    return texts


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str) -> NDArray[Any]:
    # The other methods allocate what a number in the file asks for, before they read anything.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise VoiceError(
            f"{source}: {member.filename} is compressed in a way that numpy does not write; save the voice again"
        )
    label = f"{source}: {member.filename}"
    field_name = _FIELDS.get(member.filename.removesuffix(_SUFFIX))
    check = partial(check_tokens, field_name, label=source) if field_name else None
    with archive.open(member) as stream:
        return read_npy(stream, member.file_size, label, check)


def _metadata(array: NDArray[Any] | None, source: str) -> Mapping[str, Any]:
    if array is None:
        return {}
    values = json.loads(str(array)) if array.dtype.kind == "U" and array.ndim == 0 else None
    if not isinstance(values, dict):
        raise VoiceError(f"{source}: metadata must be one JSON object as text")
    return values


def _unwritable(target: Path, error: OSError) -> VoiceError:
    reason = str(error) if error.errno is None else os.strerror(error.errno)
    return VoiceError(f"cannot write {target}: {reason}; choose another file or folder")
