"""The weights of a Hugging Face folder, whole or in shards, safetensors or pickled: what is in them.

Knows no model: names, types and shapes as stored. safetensors' numpy API cannot give bfloat16, so tensors
are found at the offsets of the header (https://huggingface.co/docs/safetensors), after the library has
checked it. Pickled files are read by `torch_file`, which runs nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from openbark.checkpoints.formats.json_file import read_json
from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.torch_file import read_torch_file
from openbark.errors import CheckpointCorruptError, CheckpointNotFoundError

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLED_FILE = "pytorch_model.bin"
PICKLED_INDEX_FILE = "pytorch_model.bin.index.json"
WEIGHTS_FILES = (WEIGHTS_FILE, INDEX_FILE, PICKLED_FILE, PICKLED_INDEX_FILE)
"""Names under which a folder may hold its weights, in the order they are looked for."""

_Header = Callable[[Path], dict[str, StoredTensor]]


def weights_file(directory: Path) -> str | None:
    """The first of `WEIGHTS_FILES` that is there."""
    return next((name for name in WEIGHTS_FILES if (directory / name).is_file()), None)


def find_tensors(directory: Path) -> dict[str, StoredTensor]:
    """Every tensor of the folder's weights, or of the shards that their index names.

    Raises CheckpointNotFoundError naming the shards that are not there, CheckpointCorruptError for a
    broken file or an index that names tensors its shards lack, CheckpointUnsafeError for a pickle that
    asks for more than tensors.
    """
    name = weights_file(directory)
    if name is None:
        raise CheckpointNotFoundError(f"{directory} lacks {WEIGHTS_FILE}")
    header = _pickled_header if name.startswith("pytorch") else safetensors_header
    if name in (WEIGHTS_FILE, PICKLED_FILE):
        return header(directory / name)
    return _sharded(directory, name, header)


def _sharded(directory: Path, index_name: str, header: _Header) -> dict[str, StoredTensor]:
    index = directory / index_name
    placement = read_json(index).get("weight_map")
    if not isinstance(placement, dict) or not all(isinstance(v, str) for v in placement.values()):
        raise CheckpointCorruptError(f"{index} lacks weight_map, an object of tensor -> file name")
    shards = sorted(set(placement.values()))
    if any(Path(shard).name != shard for shard in shards):
        raise CheckpointCorruptError(f"{index} names files outside its folder")
    missing = [shard for shard in shards if not (directory / shard).is_file()]
    if missing:
        raise CheckpointNotFoundError(
            f"{directory} lacks {', '.join(missing)}, named by {index_name}; fetch the folder again"
        )
    headers = {shard: header(directory / shard) for shard in shards}
    tensors = {}
    for name, shard in placement.items():
        if name not in headers[shard]:
            raise CheckpointCorruptError(
                f"{directory / shard} lacks tensor {name}, which {index_name} places there"
            )
        tensors[name] = headers[shard][name]
    return tensors


def safetensors_header(file: Path) -> dict[str, StoredTensor]:
    """Every tensor of one safetensors file. Raises CheckpointCorruptError."""
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


def _pickled_header(file: Path) -> dict[str, StoredTensor]:
    content = read_torch_file(file)
    if not isinstance(content, dict):
        raise CheckpointCorruptError(f"{file} must hold a dictionary of tensors")
    strangers = [key for key, value in content.items() if not isinstance(value, StoredTensor)]
    if strangers or not all(isinstance(key, str) for key in content):
        raise CheckpointCorruptError(
            f"{file} must hold tensors by name, holds {str(strangers[:1])[:80]} besides"
        )
    return {name: replace(tensor, name=name) for name, tensor in content.items()}
