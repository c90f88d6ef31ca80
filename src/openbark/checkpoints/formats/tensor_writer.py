"""Writes tensors one after the other, as safetensors or as torch.save does; only one is in memory at a time.

No torch: its pickle is put together from opcodes (names of them: the standard library's `pickletools`).
Knows no model.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.formats.torch_file import STORAGES

DTYPE_BYTES: Mapping[str, int] = MappingProxyType(dict(STORAGES.values()))
"""safetensors' name of a type -> bytes per element."""

_ALIGNMENT = 64
_HEADER_ALIGNMENT = 8
_LOCAL_HEADER_BYTES = 30
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class TensorEntry:
    """A tensor to be written: its name, safetensors' name of its type, its shape, and how to get it.

    `make` gives an array of that shape whose bytes are written as they are (bfloat16 as uint16).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    make: Callable[[], NDArray[Any]] = field(repr=False)

    @property
    def n_bytes(self) -> int:
        """Bytes it takes."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]

    def data(self) -> bytes | memoryview:
        """Its bytes, row-major, little-endian."""
        array = self.make()
        if array.nbytes != self.n_bytes:
            raise ValueError(f"{self.name} has {array.nbytes} bytes, {self.n_bytes} announced")
        if not array.flags.c_contiguous or array.dtype.byteorder == ">":
            return array.astype(array.dtype.newbyteorder("<")).tobytes()
        return array.reshape(-1).view(np.uint8).data if array.size else b""


def write_safetensors(path: Path, entries: Sequence[TensorEntry]) -> None:
    """Write a file that does not exist yet. Raises OSError; whatever `make` raises passes."""
    # Wide types first, so that every tensor is aligned to its own type.
    ordered = sorted(entries, key=lambda entry: (-DTYPE_BYTES[entry.dtype], entry.name))
    # transformers refuses a file whose metadata does not say which framework's layout it has.
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for entry in ordered:
        header[entry.name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [position, position + entry.n_bytes],
        }
        position += entry.n_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_ALIGNMENT)
    with path.open("xb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for entry in ordered:
            stream.write(entry.data())


def write_torch_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write what torch.load reads: nested dictionaries of numbers, text, None and `TensorEntry`.

    An entry that occurs twice is one storage under two names. Raises OSError.
    """
    pickle = _Pickle()
    pickle.value(content)
    folder = path.stem
    with path.open("xb") as stream, ZipFile(stream, "w", ZIP_STORED) as archive:
        members: list[tuple[str, Callable[[], bytes | memoryview], int]] = [
            ("data.pkl", lambda: pickle.finished(), len(pickle.finished())),
            ("byteorder", lambda: b"little", 6),
        ]
        members += [
            (f"data/{key}", entry.data, entry.n_bytes) for key, entry in enumerate(pickle.storages)
        ]
        members.append(("version", lambda: b"3\n", 2))
        for name, data, size in members:
            info = ZipInfo(f"{folder}/{name}", _EPOCH)
            info.file_size = size
            info.extra = _padding(stream.tell() + _LOCAL_HEADER_BYTES + len(info.filename.encode()))
            with archive.open(info, "w") as member:
                member.write(data())


def _padding(position: int) -> bytes:
    """An extra field that moves what follows `position` to a multiple of the alignment."""
    length = -(position + 4) % _ALIGNMENT
    return b"FB" + struct.pack("<H", length) + b"Z" * length


class _Pickle:
    """Protocol 2, nothing but what torch.load's safe mode reads."""

    def __init__(self) -> None:
        self._parts = [b"\x80\x02"]
        self.storages: list[TensorEntry] = []

    def finished(self) -> bytes:
        """The whole pickle."""
        return b"".join([*self._parts, b"."])

    def value(self, value: Any) -> None:
        """Add one value."""
        self._parts.extend(self._encoded(value))

    def _encoded(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, TensorEntry):
            yield from self._tensor(value)
        elif isinstance(value, Mapping):
            yield b"}("
            for key, item in value.items():
                yield _text(key)
                yield from self._encoded(item)
            yield b"u"
        elif value is None or isinstance(value, bool):
            yield {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            yield _integer(value)
        elif isinstance(value, float):
            yield b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            yield _text(value)
        else:
            raise TypeError(f"cannot write a {type(value).__name__}")

    def _tensor(self, entry: TensorEntry) -> Iterator[bytes]:
        if entry not in self.storages:
            self.storages.append(entry)
        storage = next(name for name, (dtype, _) in STORAGES.items() if dtype == entry.dtype)
        count = math.prod(entry.shape)
        strides = [math.prod(entry.shape[axis + 1 :]) for axis in range(len(entry.shape))]
        yield b"ctorch._utils\n_rebuild_tensor_v2\n(("
        yield _text("storage") + f"ctorch\n{storage}\n".encode()
        yield _text(str(self.storages.index(entry))) + _text("cpu") + _integer(count) + b"tQK\x00"
        for sizes in (entry.shape, strides):
            yield b"(" + b"".join(map(_integer, sizes)) + b"t"
        yield b"\x89ccollections\nOrderedDict\n)RtR"


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data
