"""safetensors files, one or sharded by an index: what is in them, and memory-mapped reading.

Knows no model: names, types and shapes as stored. safetensors' numpy API cannot give bfloat16, so arrays are
views of the mapped file at the offsets of its header (https://huggingface.co/docs/safetensors), after the
library has checked that header.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from openbark.checkpoints.json_file import read_json
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
)

__all__ = ["INDEX_FILE", "WEIGHTS_FILE", "StoredTensor", "find_tensors"]

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_AS_STORED: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor lies. `dtype` is safetensors' name for it."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    def read(self) -> NDArray[np.float32]:
        """The tensor as float32; without a copy, read-only, where it is stored as that.

        Raises CheckpointUnsupportedError for types that are not floats.
        """
        kind = _AS_STORED.get(self.dtype)
        if kind is None:
            raise CheckpointUnsupportedError(
                f"{self.file}: tensor {self.name} is stored as {self.dtype}; "
                f"readable: {', '.join(_AS_STORED)}"
            )
        if self.start == self.stop:
            return np.zeros(self.shape, dtype=np.float32)
        raw = np.memmap(self.file, np.uint8, "r", self.start, (self.stop - self.start,))
        stored: NDArray[Any] = np.asarray(raw).view(kind).reshape(self.shape)
        if self.dtype == "BF16":
            # A bfloat16 is the upper half of a float32.
            stored = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return stored.astype(np.float32, copy=False)


def find_tensors(directory: Path) -> dict[str, StoredTensor]:
    """Every tensor of model.safetensors, or of the shards that its index names.

    Raises CheckpointNotFoundError naming the shards that are not there, CheckpointCorruptError for a
    broken file or an index that names tensors its shards lack.
    """
    single = directory / WEIGHTS_FILE
    if single.exists():
        return _header(single)
    index = directory / INDEX_FILE
    placement = read_json(index).get("weight_map")
    if not isinstance(placement, dict) or not all(isinstance(v, str) for v in placement.values()):
        raise CheckpointCorruptError(f"{index} lacks weight_map, an object of tensor -> file name")
    shards = sorted(set(placement.values()))
    if any(Path(shard).name != shard for shard in shards):
        raise CheckpointCorruptError(f"{index} names files outside its folder")
    missing = [shard for shard in shards if not (directory / shard).is_file()]
    if missing:
        raise CheckpointNotFoundError(
            f"{directory} lacks {', '.join(missing)}, named by {INDEX_FILE}; fetch the folder again"
        )
    headers = {shard: _header(directory / shard) for shard in shards}
    tensors = {}
    for name, shard in placement.items():
        if name not in headers[shard]:
            raise CheckpointCorruptError(
                f"{directory / shard} lacks tensor {name}, which {INDEX_FILE} places there"
            )
        tensors[name] = headers[shard][name]
    return tensors


def _header(file: Path) -> dict[str, StoredTensor]:
    try:
        with safe_open(file, framework="numpy"):
            pass
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
    except (SafetensorError, OSError) as error:
        size = file.stat().st_size if file.is_file() else 0
        raise CheckpointCorruptError(
            f"{file} ({size} bytes) is not a whole safetensors file: {error}; fetch or write it again"
        ) from error
    header.pop("__metadata__", None)
    base = 8 + length
    return {
        name: StoredTensor(
            name,
            file,
            entry["dtype"],
            tuple(entry["shape"]),
            base + entry["data_offsets"][0],
            base + entry["data_offsets"][1],
        )
        for name, entry in header.items()
    }
