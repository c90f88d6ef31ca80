"""What torch.save wrote, read without torch and without running anything: containers of `StoredTensor`s.

Allowed names: tensor rebuilding, typed storages, OrderedDict, torch.Size, numpy scalars. Tensors stay in the
file until they are read and are memory-mapped then. The format before torch 1.6 (no zip) is told apart and
refused. Layout of the zip: `NAME/data.pkl`, one member `NAME/data/KEY` per storage
(https://docs.pytorch.org/docs/stable/notes/serialization.html). Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from openbark.checkpoints.formats.pickle_reader import Builder, Stateless, read_pickle
from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.stored_zip import StoredZip
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
)

ZIP_START = b"PK\x03\x04"
_LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_MAX_PICKLE_BYTES = 64 << 20
_MAX_DIMENSIONS = 16

STORAGES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "FloatStorage": ("F32", 4),
        "HalfStorage": ("F16", 2),
        "BFloat16Storage": ("BF16", 2),
        "DoubleStorage": ("F64", 8),
        "LongStorage": ("I64", 8),
        "IntStorage": ("I32", 4),
        "ShortStorage": ("I16", 2),
        "CharStorage": ("I8", 1),
        "ByteStorage": ("U8", 1),
        "BoolStorage": ("BOOL", 1),
        "ComplexFloatStorage": ("C64", 8),
        "ComplexDoubleStorage": ("C128", 16),
    }
)
"""torch's storage classes: safetensors' name of the type, and bytes per element."""


class _Storage:
    """Bytes of the file that hold elements of one type."""

    __slots__ = ("count", "dtype", "item_bytes", "start")

    def __init__(self, start: int, count: int, dtype: str, item_bytes: int) -> None:
        self.start = start
        self.count = count
        self.dtype = dtype
        self.item_bytes = item_bytes


class _Type(Stateless):
    """A numpy dtype the pickle mentions."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code


def is_torch_zip(file: Path) -> bool:
    """Whether a file starts as an archive does."""
    with file.open("rb") as stream:
        return stream.read(len(ZIP_START)) == ZIP_START


def read_torch_file(file: Path) -> Any:
    """What torch.save was given, with a `StoredTensor` for each tensor (its name is empty).

    Raises CheckpointNotFoundError; CheckpointUnsafeError naming what a pickle wants beyond plain weights;
    CheckpointCorruptError; CheckpointUnsupportedError for what torch.save no longer writes.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(len(_LEGACY_START))
            if start[:4] != ZIP_START:
                _refuse_other(start, stream, file)
            return _read_archive(stream, file)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise CheckpointNotFoundError(f"no file at {file}") from error
    except OSError as error:
        raise CheckpointCorruptError(f"cannot read {file}: {error}") from error


def _refuse_other(start: bytes, stream: BinaryIO, file: Path) -> None:
    if start == _LEGACY_START:
        raise CheckpointUnsupportedError(
            f"{file} has the format of torch before 1.6; write it again with a newer torch, where you trust "
            "it: torch.save(torch.load(OLD, map_location='cpu', weights_only=True), NEW)"
        )
    if start[:1] == b"\x80" or start[:1] in b"c(}]":
        stream.seek(0)
        read_pickle(stream.read(_MAX_PICKLE_BYTES), file, {}, {}, _no_storage)
        raise CheckpointUnsupportedError(f"{file} is a bare pickle, not what torch.save writes")
    raise CheckpointCorruptError(
        f"{file} is not what torch.save writes: it starts with {start[:4]!r}; fetch the file again"
    )


def _no_storage(*identity: Any) -> Any:
    raise ValueError("a bare pickle has no storages")


def _read_archive(stream: BinaryIO, file: Path) -> Any:
    archive = StoredZip(stream, file)
    pickles = [name for name in archive.members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise CheckpointUnsupportedError(
            f"{file} is an archive with {len(pickles)} data.pkl, torch.save writes one"
        )
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in archive.members:
        raise CheckpointUnsupportedError(
            f"{file} is a TorchScript program; OpenBark reads weights, such as torch.save writes"
        )
    start, stop = archive.span(pickles[0])
    if stop - start > _MAX_PICKLE_BYTES:
        raise CheckpointUnsupportedError(
            f"{file}: data.pkl has {stop - start} bytes, at most {_MAX_PICKLE_BYTES} are read"
        )
    _check_byte_order(archive, folder, stream)
    stream.seek(start)
    data = stream.read(stop - start)
    return read_pickle(data, file, _builders(file), _constants(), _storages(archive, folder))


def _check_byte_order(archive: StoredZip, folder: str, stream: BinaryIO) -> None:
    name = f"{folder}byteorder"
    if name not in archive.members:
        return
    start, stop = archive.span(name)
    stream.seek(start)
    order = stream.read(min(stop - start, 16))
    if order != b"little":
        raise CheckpointUnsupportedError(
            f"{archive.file} was written with byte order {order!r}; little is read: save it again on an "
            "x86 or ARM machine"
        )


def _storages(archive: StoredZip, folder: str) -> Builder:
    seen: dict[str, tuple[int, int]] = {}

    def storage(kind: Any, storage_type: Any, key: Any, location: Any, count: Any) -> _Storage:
        if kind != "storage" or storage_type not in STORAGES.values() or not isinstance(key, str):
            raise ValueError("a persistent id that is not a storage")
        dtype, item_bytes = storage_type
        if key not in seen:
            seen[key] = archive.span(f"{folder}data/{key}")
        start, stop = seen[key]
        if not _is_size(count) or count * item_bytes > stop - start:
            raise ValueError(f"storage {key[:50]} claims more elements than its member holds")
        return _Storage(start, count, dtype, item_bytes)

    return storage


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _builders(file: Path) -> Mapping[str, Builder]:
    def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> StoredTensor:
        return _tensor(file, storage, offset, shape, strides)

    def parameter(data: Any, *rest: Any) -> StoredTensor:
        if not isinstance(data, StoredTensor):
            raise TypeError("a parameter of something that is not a tensor")
        return data

    builders: dict[str, Builder] = {
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": parameter,
        "torch._utils._rebuild_parameter_with_state": parameter,
        "collections.OrderedDict": _ordered,
        "torch.Size": _size,
        "_codecs.encode": _encode,
        "numpy.dtype": _dtype,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        builders[f"{module}.scalar"] = _scalar
    return builders


def _constants() -> dict[str, Any]:
    return {f"torch.{name}": value for name, value in STORAGES.items()}


def _tensor(file: Path, storage: Any, offset: Any, shape: Any, strides: Any) -> StoredTensor:
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor without a storage")
    for sizes in (shape, strides):
        if not isinstance(sizes, tuple) or not all(_is_size(size) for size in sizes):
            raise ValueError("a tensor whose shape is not a tuple of sizes")
    if not _is_size(offset) or len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a tensor whose shape and strides disagree")
    elements = 1
    for size in shape:
        elements *= size
    extent = (
        0
        if elements == 0
        else 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    )
    # More elements than the storage holds is valid for torch (stride 0), and a way to ask for any memory.
    if offset + extent > storage.count or elements > storage.count:
        raise ValueError("a tensor that reaches beyond its storage")
    start = storage.start + offset * storage.item_bytes
    return StoredTensor(
        name="",
        file=file,
        dtype=storage.dtype,
        shape=shape,
        start=start,
        stop=start + extent * storage.item_bytes,
        strides=None if elements == 0 or _is_row_major(shape, strides) else strides,
    )


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    wanted = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != wanted:
            return False
        wanted *= size
    return True


def _ordered(*pairs: Any) -> dict[Any, Any]:
    if pairs and pairs != ([],):
        raise TypeError("an OrderedDict made of arguments")
    return {}


def _size(values: Any) -> tuple[Any, ...]:
    if not isinstance(values, tuple):
        raise TypeError("a torch.Size that is not a tuple")
    return values


def _encode(text: Any, codec: Any) -> bytes:
    if not isinstance(text, str) or codec != "latin1":
        raise ValueError("bytes in an encoding that pickles do not use")
    return text.encode("latin-1")


def _dtype(code: Any, *rest: Any) -> _Type:
    if not isinstance(code, str) or code not in ("f2", "f4", "f8", "i4", "i8", "b1"):
        raise ValueError("a numpy type that is not a plain number")
    return _Type(code)


def _scalar(kind: Any, data: Any) -> float | int | bool:
    if not isinstance(kind, _Type) or not isinstance(data, bytes):
        raise TypeError("a numpy scalar of something else")
    if len(data) != np.dtype(kind.code).itemsize:
        raise ValueError("a numpy scalar of the wrong length")
    value: float | int | bool = np.frombuffer(data, f"<{kind.code}" if kind.code != "b1" else "?")[
        0
    ].item()
    return value
