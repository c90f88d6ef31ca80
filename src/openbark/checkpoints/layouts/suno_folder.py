"""A folder of Suno's `.pt` files, and the codec and tokenizer that Suno keeps elsewhere (docs/parity.md C1, S18).

Files are told apart by what they hold, never by name: Suno's cache, Coqui's, and files under any other name
are the same to it. Nothing is written, and optimizer states are never touched. Where a folder holds a stage
in two sizes the larger one is taken, as Suno does unless told otherwise; naming one file instead of the
folder takes the files of that file's size.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openbark.checkpoints.formats.json_file import read_json
from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.torch_file import is_torch_zip, read_torch_file
from openbark.checkpoints.layouts.encodec_names import from_encodec
from openbark.checkpoints.layouts.shapes import (
    COARSE_PREFIX,
    CODEC_PREFIX,
    FINE_PREFIX,
    SEMANTIC_PREFIX,
)
from openbark.checkpoints.layouts.suno_names import (
    COMPILED_PREFIX,
    STAGES,
    from_suno,
    read_model_args,
    stage_of,
)
from openbark.checkpoints.layouts.tensor_files import find_tensors, weights_file
from openbark.config import GPTConfig
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointUnsafeError,
)

CODEC_REPOSITORY = "facebook/encodec_24khz"
TOKENIZER_REPOSITORIES = (
    "google-bert/bert-base-multilingual-cased",
    "bert-base-multilingual-cased",
)
"""Hub names of the tokenizer of Suno's models, today's and the one Suno's code uses."""

LARGE_LAYERS = 24
"""Layers of each of Suno's large models; the small ones have half."""

_SUFFIXES = (".pt", ".pth", ".th", ".bin", ".ckpt")
_MAX_FILES = 64
STAGE_PREFIXES: Mapping[str, str] = MappingProxyType(
    {"text": SEMANTIC_PREFIX, "coarse": COARSE_PREFIX, "fine": FINE_PREFIX}
)
"""Suno's name of a model -> prefix of its tensors in the Hugging Face layout."""


@dataclass(frozen=True)
class SunoFile:
    """One of Suno's models: its stage ("text", "coarse" or "fine"), sizes, and tensors under their Hugging
    Face names."""

    file: Path
    stage: str
    config: GPTConfig
    best_val_loss: float | None
    tensors: Mapping[str, StoredTensor] = field(repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Layers and width, for telling large from small."""
        return self.config.n_layer, self.config.n_embd

    @property
    def is_small(self) -> bool:
        """Whether it is of the smaller of the two sizes that Suno published."""
        return self.config.n_layer < LARGE_LAYERS


@dataclass(frozen=True)
class CodecFile:
    """EnCodec's weights under their Hugging Face names."""

    file: Path
    tensors: Mapping[str, StoredTensor] = field(repr=False)


@dataclass(frozen=True)
class SunoFolder:
    """What a folder holds: at most one file per stage, at most one codec; `others` are larger or smaller
    models of the same stages, left aside."""

    directory: Path
    stages: Mapping[str, SunoFile]
    codec: CodecFile | None
    others: tuple[Path, ...] = ()


def read_suno_file(file: Path) -> SunoFile | CodecFile | None:
    """What a file that torch.save wrote is, or None for something else.

    Raises CheckpointUnsafeError, CheckpointCorruptError, CheckpointUnsupportedError.
    """
    content = read_torch_file(file)
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("model"), dict) and isinstance(content.get("model_args"), dict):
        return _stage(content, file)
    weights = content.get("best_state", content)
    return _codec(weights, file) if isinstance(weights, dict) else None


def _stage(content: dict[Any, Any], file: Path) -> SunoFile:
    named = _tensors(content["model"], file)
    fine = any(key.removeprefix(COMPILED_PREFIX).startswith("transformer.wtes.") for key in named)
    config = read_model_args(content["model_args"], fine, file)
    stage = stage_of(config)
    tensors: dict[str, StoredTensor] = {}
    for key, tensor in named.items():
        name = STAGE_PREFIXES[stage] + from_suno(key)
        if name in tensors:
            raise CheckpointCorruptError(f"{file} holds {key} twice, with and without prefix")
        tensors[name] = replace(tensor, name=name)
    loss = content.get("best_val_loss")
    if isinstance(loss, StoredTensor) and loss.shape == () and loss.dtype.startswith(("F", "B")):
        loss = float(loss.read())
    return SunoFile(file, stage, config, loss if isinstance(loss, float) else None, tensors)


def _tensors(content: dict[Any, Any], file: Path) -> dict[str, StoredTensor]:
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, StoredTensor):
            raise CheckpointCorruptError(f"{file}: model.{str(key)[:80]} is not a tensor")
    return content


def _codec(content: dict[Any, Any], file: Path) -> CodecFile | None:
    tensors: dict[str, StoredTensor] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, StoredTensor):
            return None
        name = from_encodec(key)
        if name is None:
            return None
        tensors[CODEC_PREFIX + name] = replace(value, name=CODEC_PREFIX + name)
    return CodecFile(file, tensors) if tensors else None


def read_suno_folder(path: Path) -> SunoFolder:
    """Find the models of a folder, or those beside one of its files.

    Raises CheckpointNotFoundError naming the stages that are not there, or what was wrong with the file
    that might have been one.
    """
    chosen = None
    if path.is_file():
        chosen = read_suno_file(path)
        if not isinstance(chosen, SunoFile):
            raise CheckpointNotFoundError(
                f"{path} is not one of Suno's text, coarse and fine models; give their folder"
            )
    directory = path.parent if path.is_file() else path
    found, refused = scan_folder(directory)
    models = [item for item in found if isinstance(item, SunoFile)]
    codecs = [item for item in found if isinstance(item, CodecFile)]
    stages: dict[str, SunoFile] = {}
    for stage in STAGES:
        candidates = [item for item in models if item.stage == stage]
        if isinstance(chosen, SunoFile):
            size = chosen.size
            candidates = [item for item in candidates if item.size == size]
            if chosen.stage == stage:
                candidates = [chosen]
        if candidates:
            stages[stage] = max(candidates, key=lambda item: item.size)
    missing = [stage for stage in STAGES if stage not in stages]
    if missing:
        unsafe = [error for error in refused if isinstance(error, CheckpointUnsafeError)]
        for error in unsafe or refused:
            raise error
        raise CheckpointNotFoundError(
            f"{directory} lacks Suno's {' and '.join(missing)} model"
            f"{f' of the size of {path.name}' if path.is_file() else ''}; it has: "
            f"{', '.join(f'{item.stage} ({item.file.name})' for item in models) or 'none of them'}"
        )
    used = {item.file for item in stages.values()}
    others = tuple(item.file for item in models if item.file not in used)
    return SunoFolder(directory, stages, codecs[0] if codecs else None, others)


def scan_folder(directory: Path) -> tuple[list[SunoFile | CodecFile], list[CheckpointError]]:
    """The models among a folder's files, whatever their names, and why others that might be could not be
    read."""
    found: list[SunoFile | CodecFile] = []
    refused: list[CheckpointError] = []
    files = sorted(path for path in directory.iterdir() if may_be_weights(path))
    for file in files[:_MAX_FILES]:
        try:
            item = read_suno_file(file)
        except CheckpointError as error:
            refused.append(error)
            continue
        if item is not None:
            found.append(item)
    return found, refused


def may_be_weights(path: Path) -> bool:
    """Whether a file could be one that torch.save wrote, by its name or its first bytes."""
    if not path.is_file() or path.suffix in (".npz", ".part"):
        return False
    return path.suffix in _SUFFIXES or is_torch_zip(path)


def cached_codec() -> CodecFile | None:
    """EnCodec where Suno's code keeps it (torch's hub folder), or from the hub's cache. Opens no socket."""
    home = os.environ.get("TORCH_HOME")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = (Path(home).expanduser() if home else cache / "torch") / "hub" / "checkpoints"
    for file in sorted(folder.glob("encodec_24khz-*.th")):
        item = read_suno_file(file)
        if isinstance(item, CodecFile):
            return item
    config = _cached(CODEC_REPOSITORY, "config.json")
    if config is None or weights_file(config.parent) is None:
        return None
    if read_json(config).get("model_type") != "encodec":
        return None
    tensors = {
        CODEC_PREFIX + name: replace(tensor, name=CODEC_PREFIX + name)
        for name, tensor in find_tensors(config.parent).items()
    }
    return CodecFile(config.parent, tensors)


def cached_tokenizer() -> Path | None:
    """The multilingual BERT tokenizer from the hub's cache. Opens no socket."""
    for repository in TOKENIZER_REPOSITORIES:
        for name in ("tokenizer.json", "vocab.txt"):
            path = _cached(repository, name)
            if path is not None:
                return path
    return None


def _cached(repository: str, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name)
    return Path(found) if isinstance(found, str) else None
