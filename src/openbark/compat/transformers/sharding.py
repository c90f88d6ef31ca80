"""`max_shard_size`: weights in several files with an index, as transformers writes them. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_safetensors
from openbark.checkpoints.layouts.tensor_files import INDEX_FILE, WEIGHTS_FILE, find_tensors
from openbark.checkpoints.save import write_json
from openbark.errors import CheckpointError, ParamError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(size: int | str) -> int:
    """Bytes of a number, or of text such as "5GB" or "200MiB". Raises ParamError."""
    match = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if match:
        number, unit, binary = match.groups()
        n_bytes = int(float(number) * (1024 if binary else 1000) ** _POWERS[unit.upper()])
    elif isinstance(size, int) and not isinstance(size, bool):
        n_bytes = size
    else:
        raise ParamError(
            f"max_shard_size is {size!r}; allowed: bytes, or text such as '5GB' or '200MiB'"
        )
    if n_bytes < 1:
        raise ParamError(f"max_shard_size is {size!r}; allowed: from 1 byte")
    return n_bytes


def split_weights(folder: Path, most: int) -> None:
    """Put the weights of a folder into files of up to `most` bytes of tensors each, where one is larger; a tensor
    that is larger itself has a file alone. The one file goes once the others are there. Raises CheckpointError.
    """
    whole = folder / WEIGHTS_FILE
    shards = _shards(list(find_tensors(folder).values()), most)
    if len(shards) < 2:
        return
    names = [f"model-{n:05}-of-{len(shards):05}.safetensors" for n in range(1, len(shards) + 1)]
    total = sum(_n_bytes(tensor) for shard in shards for tensor in shard)
    placement = {
        tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard
    }
    try:
        for name, shard in zip(names, shards, strict=True):
            write_safetensors(folder / name, [_entry(tensor) for tensor in shard])
        write_json(
            folder / INDEX_FILE,
            {"metadata": {"total_size": total}, "weight_map": dict(sorted(placement.items()))},
        )
        whole.unlink()
    except OSError as error:
        for name in (*names, INDEX_FILE):
            (folder / name).unlink(missing_ok=True)
        raise CheckpointError(f"cannot write the weights of {folder}: {error}") from error


def _shards(tensors: Sequence[StoredTensor], most: int) -> list[list[StoredTensor]]:
    shards: list[list[StoredTensor]] = []
    room = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.name):
        size = _n_bytes(tensor)
        if not shards or size > room:
            shards.append([])
            room = most
        shards[-1].append(tensor)
        room -= size
    return shards


def _n_bytes(tensor: StoredTensor) -> int:
    return tensor.stop - tensor.start


def _entry(tensor: StoredTensor) -> TensorEntry:
    return TensorEntry(tensor.name, tensor.dtype, tensor.shape, partial(_bytes, tensor))


def _bytes(tensor: StoredTensor) -> NDArray[Any]:
    return np.fromfile(tensor.file, np.uint8, _n_bytes(tensor), offset=tensor.start)
