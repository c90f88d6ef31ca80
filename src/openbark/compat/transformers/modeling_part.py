"""One network of a Bark on its own, as a folder of transformers' (docs/parity.md H8-H11).

    config.json          "model_type": "semantic", "coarse_acoustics" or "fine_acoustics"
    model.safetensors    the network's tensors, without the prefix that they have in a whole Bark

A part is read out of a whole Bark's folder too. Knows no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from openbark.checkpoints.checkpoint import CONFIG_FILE, open_checkpoint
from openbark.checkpoints.formats.json_file import read_json
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_safetensors
from openbark.checkpoints.layouts.tensor_files import WEIGHTS_FILE, find_tensors
from openbark.checkpoints.save import write_folder, write_json
from openbark.compat.transformers.configuration import BarkSubModelConfig
from openbark.compat.transformers.folders import load_folder
from openbark.compat.transformers.generation_configuration import GenerationConfig
from openbark.compat.transformers.modeling_base import StoredModel
from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError, ParamError

_MASK = re.compile(r"layers\.\d+\.attn\.bias")
"""What transformers stores besides weights: causal masks."""

_HEAD = "lm_heads."
"""The fine network's heads are embeddings, and stored as those alone."""


class BarkPartModel(StoredModel):
    """A network that loads and saves on its own."""

    config_class: ClassVar[type[BarkSubModelConfig]] = BarkSubModelConfig
    causal: ClassVar[bool] = False

    config: BarkSubModelConfig

    def __init__(self, config: BarkSubModelConfig) -> None:
        super().__init__()
        self.config = config
        self.generation_config = GenerationConfig()

    @classmethod
    def _load(cls, folder: Path, config: BarkSubModelConfig | None) -> tuple[Self, str]:
        """This network from its own folder or from a whole Bark's."""
        values = _read_config(folder)
        kind, prefix = values.get("model_type"), cls.base_model_prefix
        if kind not in ("bark", cls.config_class.model_type):
            raise CheckpointUnsupportedError(
                f"{folder} holds a {kind!r}; {cls.__name__} loads "
                f"{cls.config_class.model_type!r}, and 'bark'"
            )
        own = values.get(f"{prefix}_config", {}) if kind == "bark" else values
        with torch.device("meta"):
            model = cls(config or cls.config_class.from_dict(own))
        model._fill(_whole(folder, prefix) if kind == "bark" else _alone(folder), folder)
        return model, str(values.get("dtype") or values.get("torch_dtype") or "float32")

    def _write(self, folder: Path) -> None:
        kind = "float16" if self.dtype == torch.float16 else "float32"
        entries = [
            _entry(name, tensor, kind)
            for name, tensor in self.state_dict().items()
            if not name.startswith(_HEAD)
        ]
        if self.causal:
            entries += _masks(self.config)
        about = {"architectures": [type(self).__name__], "dtype": kind}

        def write(temporary: Path) -> None:
            write_json(temporary / CONFIG_FILE, self.config.to_dict() | about)
            write_safetensors(temporary / WEIGHTS_FILE, entries)

        write_folder(folder, write, overwrite=True)

    def _fill(self, tensors: Mapping[str, np.ndarray[Any, Any]], folder: Path) -> None:
        """Put the weights into parameters on the meta device. Raises CheckpointCorruptError."""
        state = {
            name: torch.from_numpy(np.array(array))
            for name, array in tensors.items()
            if not _MASK.fullmatch(name) and not name.startswith(_HEAD)
        }
        try:
            result = self.load_state_dict(state, strict=False, assign=True)
        except RuntimeError as error:
            raise CheckpointCorruptError(f"{folder}: {error}") from error
        missing = [name for name in result.missing_keys if not name.startswith(_HEAD)]
        if missing or result.unexpected_keys:
            what = f"lacks {missing[0]}" if missing else f"has {result.unexpected_keys[0]} besides"
            raise CheckpointCorruptError(f"{folder} is not a {type(self).__name__}: it {what}")
        self.tie_weights()


def resized(
    old: Tensor, size: int, mean_resizing: bool, std: float, multiple: int | None
) -> nn.Embedding:
    """A table of `size` rows, rounded up to `multiple`, with the rows of `old` [V, D]; new ones are their mean, or
    random without `mean_resizing`."""
    if multiple is not None:
        size = -(-size // multiple) * multiple
    if size < 1:
        raise ParamError(f"new_num_tokens is {size}; allowed: from 1")
    new = old.new_empty(size, old.shape[1])
    if mean_resizing:
        new[:] = old.mean(dim=0)
    else:
        new.normal_(0.0, std)
    kept = min(size, len(old))
    new[:kept] = old[:kept]
    return nn.Embedding(size, new.shape[1], _weight=new)


def _read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json; that of a whole Bark where the folder is Suno's."""
    if (folder / CONFIG_FILE).is_file():
        return read_json(folder / CONFIG_FILE)
    return load_folder(folder).config.to_dict()


def _whole(folder: Path, prefix: str) -> Mapping[str, np.ndarray[Any, Any]]:
    return open_checkpoint(folder, need_tokenizer=False, parts=(prefix,)).tensors(f"{prefix}.")


def _alone(folder: Path) -> Mapping[str, np.ndarray[Any, Any]]:
    return {
        name: tensor.read()
        for name, tensor in find_tensors(folder).items()
        if not _MASK.fullmatch(name)
    }


def _masks(config: BarkSubModelConfig) -> list[TensorEntry]:
    """What transformers misses with a warning where it is not stored."""
    size = config.block_size
    mask = np.tril(np.ones((1, 1, size, size), dtype=np.bool_))
    names = [f"layers.{i}.attn.bias" for i in range(config.num_layers)]
    return [TensorEntry(name, "BOOL", mask.shape, lambda: mask) for name in names]


def _entry(name: str, tensor: Tensor, kind: str) -> TensorEntry:
    def make() -> np.ndarray[Any, Any]:
        return tensor.detach().float().cpu().numpy().astype(kind)

    return TensorEntry(name, {"float16": "F16", "float32": "F32"}[kind], tuple(tensor.shape), make)
