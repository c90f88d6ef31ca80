"""Writing checkpoint folders, whole or not at all.

`save_checkpoint` writes arrays in our layout, which transformers loads: EnCodec's convolutions with weight norm
in its newer spelling, causal masks, codebook statistics. A checkpoint with our own codec, which transformers
cannot load anyway, goes without the masks. What else writes folders (`convert`) shares `write_folder`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.checkpoint import CONFIG_FILE
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_safetensors
from openbark.checkpoints.layouts.config_json import config_json
from openbark.checkpoints.layouts.generation_json import GENERATION_FILE, generation_json
from openbark.checkpoints.layouts.shapes import (
    COARSE_PREFIX,
    CODEC_PREFIX,
    SEMANTIC_PREFIX,
    expected_shapes,
    weight_normed,
)
from openbark.checkpoints.layouts.tensor_files import INDEX_FILE, WEIGHTS_FILE
from openbark.checkpoints.layouts.tokenizer_files import tokenizer_files
from openbark.checkpoints.layouts.weight_norm import spellings, unfold
from openbark.config import BarkConfig, EncodecConfig
from openbark.errors import CheckpointCorruptError, CheckpointError
from openbark.params import GenerationParams

_REPLACED = ("model*.safetensors", "pytorch_model*.bin", "*.bin.index.json")
_DTYPES = {"float32": "F32", "float16": "F16"}


def save_checkpoint(
    directory: str | Path,
    config: BarkConfig,
    tensors: Mapping[str, NDArray[Any]],
    defaults: GenerationParams,
    tokenizer_json: str | None,
    dtype: Literal["float32", "float16"] = "float32",
    *,
    overwrite: bool = False,
) -> Path:
    """Write a folder that `open_checkpoint` reads, and return its path.

    `tensors` has exactly the names and shapes of `expected_shapes(config)`. With `overwrite` a folder that
    is there is replaced once the new one is complete; its other files (voices, notes) are kept. Raises
    CheckpointCorruptError for tensors that are missing, unknown, misshapen, not finite or too large for
    `dtype`; CheckpointError when the folder exists or cannot be written.
    """
    _check(config, tensors)
    entries = list(_entries(config, tensors, dtype))
    tokenizer = {} if tokenizer_json is None else tokenizer_files(tokenizer_json)

    def write(folder: Path) -> None:
        write_model(folder, config, defaults, entries, dtype, tokenizer)

    return write_folder(directory, write, overwrite=overwrite)


def write_folder(
    directory: str | Path, write: Callable[[Path], None], *, overwrite: bool = False
) -> Path:
    """Let `write` fill an empty folder, then put that in place of `directory`; nothing is left of a failure.

    Raises CheckpointError when the folder exists (without `overwrite`) or cannot be written.
    """
    target = Path(directory).expanduser().resolve()
    if target.exists() and not overwrite:
        raise CheckpointError(
            f"{target} exists already; choose another folder, or allow it to be overwritten"
        )
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        _put_in_place(temporary, target)
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint {target}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def write_model(
    folder: Path,
    config: BarkConfig,
    defaults: GenerationParams,
    entries: list[TensorEntry],
    dtype: str,
    tokenizer: Mapping[str, str],
) -> None:
    """The files of the layout into an empty folder; `tokenizer` maps file names to contents.
    Raises OSError."""
    write_json(folder / CONFIG_FILE, config_json(config, dtype))
    write_json(folder / GENERATION_FILE, generation_json(config, defaults))
    for name, text in tokenizer.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    write_safetensors(folder / WEIGHTS_FILE, entries)


def _put_in_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        os.replace(temporary, target)
        return
    for path in target.iterdir():
        ours = (temporary / path.name).exists() or path.name == INDEX_FILE
        if ours or any(path.match(pattern) for pattern in _REPLACED):
            continue
        if path.is_dir():
            shutil.copytree(path, temporary / path.name, symlinks=True)
        else:
            shutil.copy2(path, temporary / path.name, follow_symlinks=False)
    old = temporary.with_suffix(".old")
    os.replace(target, old)
    try:
        os.replace(temporary, target)
    except OSError:
        os.replace(old, target)
        raise
    shutil.rmtree(old)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """A JSON file as people like to read it. Raises OSError."""
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _check(config: BarkConfig, tensors: Mapping[str, NDArray[Any]]) -> None:
    expected = expected_shapes(config)
    missing = sorted(set(expected) - set(tensors))
    unknown = sorted(set(tensors) - set(expected))
    if missing or unknown:
        raise CheckpointCorruptError(
            f"tensors do not match the config: {len(missing)} missing ({', '.join(missing[:4])}), "
            f"{len(unknown)} unknown ({', '.join(unknown[:4])})"
        )
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise CheckpointCorruptError(
                f"tensor {name} has shape {list(tensors[name].shape)}, the config asks for {list(shape)}"
            )


def _entries(
    config: BarkConfig, tensors: Mapping[str, NDArray[Any]], dtype: str
) -> Iterator[TensorEntry]:
    """Names and arrays as they go into the file."""
    kind, stored = np.dtype(dtype), _DTYPES[dtype]
    normed = weight_normed(config)
    for name, shape in expected_shapes(config).items():
        make = partial(_cast, name, tensors[name], kind)
        if name not in normed:
            yield TensorEntry(name, stored, shape, make)
            continue
        lengths = shape[:1] + (1,) * (len(shape) - 1)
        for part, (part_name, part_shape) in enumerate(
            zip(spellings(name)[0], (lengths, shape), strict=True)
        ):
            yield TensorEntry(part_name, stored, part_shape, partial(_part, make, part))
    yield from derived_entries(config, tensors, dtype)


def _part(make: Callable[[], NDArray[Any]], part: int) -> NDArray[Any]:
    return unfold(make())[part]


def derived_entries(
    config: BarkConfig, tensors: Mapping[str, NDArray[Any]], dtype: str
) -> Iterator[TensorEntry]:
    """What transformers stores beside EnCodec's Bark though it can be derived (docs/parity.md C2). The statistics
    are those of codebooks that were hit once per entry. `tensors` needs the codebooks only."""
    if not isinstance(config.codec, EncodecConfig):
        return
    kind, stored = np.dtype(dtype), _DTYPES[dtype]
    for prefix, stage in ((SEMANTIC_PREFIX, config.semantic), (COARSE_PREFIX, config.coarse)):
        mask = np.tril(np.ones((1, 1, stage.block_size, stage.block_size), dtype=np.bool_))
        for i in range(stage.n_layer):
            name = f"{prefix}layers.{i}.attn.bias"
            yield TensorEntry(name, "BOOL", mask.shape, lambda mask=mask: mask)  # type: ignore[misc]
    ones = np.ones(config.codebook_size, dtype=kind)
    for k in range(config.codec.n_codebooks):
        stem = f"{CODEC_PREFIX}quantizer.layers.{k}.codebook."
        codes = tensors[f"{stem}embed"]
        yield TensorEntry(
            f"{stem}embed_avg", stored, codes.shape, partial(_cast, f"{stem}embed", codes, kind)
        )
        yield TensorEntry(f"{stem}cluster_size", stored, ones.shape, lambda: ones)
        yield TensorEntry(f"{stem}inited", stored, (1,), lambda: ones[:1])


def _cast(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if not np.isfinite(array).all():
        raise CheckpointCorruptError(f"tensor {name} holds values that are not finite numbers")
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array, dtype=dtype)
    if not np.isfinite(cast).all():
        raise CheckpointCorruptError(
            f"tensor {name} holds values up to {np.abs(array).max():.3g}, too large for {dtype}; "
            "save as float32"
        )
    return cast
