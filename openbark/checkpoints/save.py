"""Writing a checkpoint folder that OpenBark and transformers load: whole or not at all.

Stores what transformers stores: EnCodec's convolutions with weight norm in its newer spelling, causal masks,
codebook statistics. A checkpoint with our own codec, which transformers cannot load anyway, goes without the
masks.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from openbark.checkpoints.checkpoint import CONFIG_FILE, TOKENIZER_FILE
from openbark.checkpoints.config_json import config_json
from openbark.checkpoints.generation_json import GENERATION_FILE, generation_json
from openbark.checkpoints.shapes import (
    COARSE_PREFIX,
    CODEC_PREFIX,
    SEMANTIC_PREFIX,
    expected_shapes,
    weight_normed,
)
from openbark.checkpoints.tensor_files import INDEX_FILE, WEIGHTS_FILE
from openbark.checkpoints.weight_norm import spellings, unfold
from openbark.config import BarkConfig, EncodecConfig
from openbark.errors import CheckpointCorruptError, CheckpointError
from openbark.params import GenerationParams

__all__ = ["save_checkpoint"]

_REPLACED = ("model*.safetensors", "pytorch_model*.bin", "*.bin.index.json")


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
    target = Path(directory).expanduser().resolve()
    if target.exists() and not overwrite:
        raise CheckpointError(
            f"{target} exists already; choose another folder, or allow it to be overwritten"
        )
    kind = np.dtype(dtype)
    _check(config, tensors)
    stored = dict(_stored(config, tensors, kind))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir(parents=True)
        _write_json(temporary / CONFIG_FILE, config_json(config, dtype))
        _write_json(temporary / GENERATION_FILE, generation_json(config, defaults))
        if tokenizer_json is not None:
            (temporary / TOKENIZER_FILE).write_text(tokenizer_json, encoding="utf-8")
        # transformers refuses a file whose metadata does not say which framework's layout it has.
        save_file(stored, temporary / WEIGHTS_FILE, metadata={"format": "pt"})
        # safetensors makes its file private to the owner; the folder's other files follow the umask.
        (temporary / WEIGHTS_FILE).chmod((temporary / CONFIG_FILE).stat().st_mode & 0o777)
        _put_in_place(temporary, target)
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint {target}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


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


def _write_json(path: Path, values: dict[str, Any]) -> None:
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


def _stored(
    config: BarkConfig, tensors: Mapping[str, NDArray[Any]], dtype: np.dtype[Any]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and arrays as they go into the file."""
    normed = weight_normed(config)
    for name in expected_shapes(config):
        array = _cast(name, tensors[name], dtype)
        if name not in normed:
            yield name, array
            continue
        g_name, v_name = spellings(name)[0]
        length, direction = unfold(array)
        yield g_name, length
        yield v_name, direction
    if isinstance(config.codec, EncodecConfig):
        yield from _besides(config, tensors, dtype)


def _besides(
    config: BarkConfig, tensors: Mapping[str, NDArray[Any]], dtype: np.dtype[Any]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """What transformers stores though it can be derived (parity C2). The statistics are those of
    codebooks that were hit once per entry."""
    for prefix, stage in ((SEMANTIC_PREFIX, config.semantic), (COARSE_PREFIX, config.coarse)):
        mask = np.tril(np.ones((stage.block_size, stage.block_size), dtype=np.bool_))
        for i in range(stage.n_layer):
            yield f"{prefix}layers.{i}.attn.bias", mask[None, None]
    for k in range(config.codec.n_codebooks):
        stem = f"{CODEC_PREFIX}quantizer.layers.{k}.codebook."
        yield f"{stem}embed_avg", _cast(f"{stem}embed", tensors[f"{stem}embed"], dtype)
        yield f"{stem}cluster_size", np.ones(config.codebook_size, dtype=dtype)
        yield f"{stem}inited", np.ones(1, dtype=dtype)


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
