"""Checkpoint folders to and from the model classes of this package; the folders are `openbark.checkpoints`'s."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from openbark.checkpoints.checkpoint import CONFIG_FILE, Checkpoint, open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.formats.json_file import read_json
from openbark.checkpoints.layouts.config_json import config_json
from openbark.checkpoints.layouts.generation_json import GENERATION_FILE, assemble, generation_json
from openbark.checkpoints.save import save_checkpoint
from openbark.compat.transformers.configuration import BarkConfig
from openbark.compat.transformers.generation_configuration import BarkGenerationConfig
from openbark.errors import DeviceError, ParamError
from openbark.params import SUNO_PARAMS

_PARTS = ("semantic", "coarse_acoustics", "fine_acoustics", "codec_model")
_ATTENTION = (None, "eager", "sdpa", "flash_attention_2")
_AUTOMATIC = ("auto", "balanced", "balanced_low_0", "sequential")
_DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class LoadedTensors:
    """Tensors of a checkpoint that no model class holds, kept for saving."""

    tensors: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class FolderContents:
    """A checkpoint folder, opened."""

    checkpoint: Checkpoint
    config: BarkConfig
    generation_config: BarkGenerationConfig

    @property
    def stored_dtype(self) -> str:
        """Name of the dtype that config.json gives."""
        return str(self.config.get("dtype") or self.config.get("torch_dtype") or "float32")

    @property
    def besides(self) -> LoadedTensors:
        """The parts that transformers does not know, such as the embedded model's semantic encoder."""
        if self.checkpoint.config.semantic_encoder is None:
            return LoadedTensors({})
        prefix = "semantic_encoder."
        tensors = self.checkpoint.tensors(prefix)
        return LoadedTensors({prefix + name: np.array(array) for name, array in tensors.items()})

    def fill(self, model: nn.Module) -> None:
        """Put the weights into a BarkModel whose parameters are on the meta device."""
        for part in _PARTS:
            arrays = self.checkpoint.tensors(f"{part}.")
            state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
            module = model.get_submodule(part)
            if part == "fine_acoustics":
                heads = [name for name in module.state_dict() if name.startswith("lm_heads.")]
                given = self.checkpoint.config.fine.n_codes_given
                for index, name in enumerate(heads):
                    state[name] = state[f"input_embeds_layers.{index + given}.weight"]
            module.load_state_dict(state, assign=True)
        model.get_submodule("fine_acoustics").tie_weights()  # type: ignore[operator]


def load_folder(path: Path) -> FolderContents:
    """Open a folder of either layout. Raises CheckpointError."""
    checkpoint = ready_checkpoint(open_checkpoint(path, need_tokenizer=False), _tell)
    config_file = checkpoint.directory / CONFIG_FILE
    generation_file = checkpoint.directory / GENERATION_FILE
    values = (
        read_json(generation_file)
        if generation_file.exists()
        else generation_json(checkpoint.config, checkpoint.defaults)
    )
    return FolderContents(
        checkpoint,
        BarkConfig.from_dict(
            read_json(config_file)
            if config_file.exists()
            else config_json(checkpoint.config, "float32")
        ),
        BarkGenerationConfig.from_dict(values),
    )


def _tell(line: str) -> None:
    """What takes minutes or gigabytes is said before it starts."""
    print(line, file=sys.stderr, flush=True)


def save_folder(
    directory: str | os.PathLike[str],
    config: BarkConfig,
    generation_config: BarkGenerationConfig,
    tensors: Mapping[str, NDArray[Any]],
    dtype: Literal["float32", "float16"],
) -> None:
    """Write a checkpoint folder. Raises CheckpointError, also when the two configs contradict each other."""
    folder = Path(directory)
    rules = assemble(config.sizes(), generation_config.to_dict(), folder / GENERATION_FILE)
    save_checkpoint(folder, rules, tensors, SUNO_PARAMS, None, dtype, overwrite=True)
    # Exactly what the user set, where OpenBark's own file would say it in its own defaults.
    generation_config.save_pretrained(folder)


def parse_dtype(dtype: torch.dtype | str | None, stored: str) -> torch.dtype:
    """A torch dtype from what `from_pretrained` takes. Raises ParamError."""
    if isinstance(dtype, torch.dtype) and dtype.is_floating_point:
        return dtype
    name = stored if dtype == "auto" else dtype or "float32"
    name = str(name).removeprefix("torch.")
    if name not in _DTYPES:
        raise ParamError(
            f"dtype is {dtype!r}; allowed: auto, {', '.join(_DTYPES)}, or a torch dtype"
        )
    found = getattr(torch, name)
    if not isinstance(found, torch.dtype):
        raise ParamError(f"this torch has no dtype {name}")
    return found


def parse_device(device_map: str | int | torch.device | Mapping[str, Any]) -> torch.device:
    """The device that `device_map` means, "auto" being the accelerator if there is one, -1 the CPU, and a
    dictionary the device that all its parts have.

    Raises DeviceError for a device that is not here, ParamError for a dictionary of several.
    """
    if isinstance(device_map, Mapping):
        places = {parse_device(place) for place in device_map.values()}
        if len(places) != 1:
            raise ParamError(
                f"device_map is {dict(device_map)!r}; allowed: one device for all parts, such as "
                "{'': 'cpu'}; model.enable_cpu_offload() moves the stages one after the other"
            )
        return places.pop()
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if device_map in _AUTOMATIC:
        return accelerator or torch.device("cpu")
    if device_map == -1:
        return torch.device("cpu")
    try:
        if isinstance(device_map, int):
            device_map = torch.device((accelerator or torch.device("cuda")).type, device_map)
        device = torch.device(device_map)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise DeviceError(
            f"device_map {device_map!r} is not usable here; allowed: 'auto', 'cpu', -1, or a device of "
            "this torch build"
        ) from error
    return device


def check_attention(implementation: str | None) -> None:
    """Raise ParamError unless `attn_implementation` is one that transformers' Bark knows, or sdpa (docs/parity.md H16)."""
    if implementation not in _ATTENTION:
        allowed = ", ".join(str(name) for name in _ATTENTION)
        raise ParamError(f"attn_implementation is {implementation!r}; allowed: {allowed}")
