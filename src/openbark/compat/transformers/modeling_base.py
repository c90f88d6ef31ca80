"""What the model classes of this package share: device, dtype, sizes, loading and saving."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, Unpack

import torch
from torch import nn

from openbark.compat.transformers.folders import check_attention, parse_device, parse_dtype
from openbark.compat.transformers.generation_configuration import GenerationConfig
from openbark.compat.transformers.locating import FromHub, locate
from openbark.compat.transformers.publishing import PushToHub, ToHub, save
from openbark.compat.transformers.sharding import parse_size, split_weights
from openbark.errors import ParamError

_T = TypeVar("_T")


class BarkPreTrainedModel(nn.Module):
    """Base class, as in transformers."""

    main_input_name: ClassVar[str] = "input_ids"
    base_model_prefix: ClassVar[str] = ""
    supports_gradient_checkpointing: ClassVar[bool] = False
    gradient_checkpointing: ClassVar[bool] = False
    is_gradient_checkpointing: ClassVar[bool] = False

    config: Any

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are."""
        return next(self.parameters()).dtype

    @property
    def base_model(self) -> Self:
        """The model itself."""
        return self

    @property
    def name_or_path(self) -> str:
        """Where it was loaded from."""
        return str(getattr(self.config, "name_or_path", ""))

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Number of weights; shared ones count once, with the embeddings they are shared with."""
        tables = [module for module in self.modules() if isinstance(module, nn.Embedding)]
        left_out = {id(table.weight) for table in tables} if exclude_embeddings else set()
        return sum(
            parameter.numel()
            for parameter in self.parameters()
            if id(parameter) not in left_out and (parameter.requires_grad or not only_trainable)
        )

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Bytes of the weights, and of the buffers."""
        tensors = [*self.parameters(), *(self.buffers() if return_buffers else ())]
        return sum(tensor.nbytes for tensor in tensors)

    def get_output_embeddings(self) -> None:
        """None, as there: the heads are not the embeddings of the output."""

    def tie_weights(self) -> None:
        """Share what is shared, in this module and in its parts."""
        for part in self.children():
            if isinstance(part, BarkPreTrainedModel):
                part.tie_weights()

    def set_attn_implementation(self, attn_implementation: str | None) -> None:
        """Changes nothing: every name means torch's fused attention. Raises ParamError for unknown names."""
        check_attention(attn_implementation)

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Raises ParamError, as there."""
        raise ParamError(
            f"{type(self).__name__} does not support gradient checkpointing; train with openbark.training"
        )

    def gradient_checkpointing_disable(self) -> None:
        """Nothing to do: it is never enabled."""

    def to_bettertransformer(self) -> Self:
        """The model itself: its attention is torch's fused one from the start."""
        return self

    def can_generate(self) -> bool:
        """Whether there is a `generate`."""
        return hasattr(self, "generate")


class StoredModel(BarkPreTrainedModel, PushToHub):
    """A model that loads from a folder and saves as one."""

    generation_config: Any

    @classmethod
    @abstractmethod
    def _load(cls, folder: Path, config: Any) -> tuple[Self, str]:
        """The model of a folder, with another config where one is given, and the name of its stored dtype."""

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Write the folder, its weights in one file."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: Any = None,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        device_map: str | int | torch.device | Mapping[str, Any] | None = None,
        attn_implementation: str | None = None,
        low_cpu_mem_usage: bool | None = None,
        use_safetensors: bool | None = None,
        generation_config: GenerationConfig | None = None,
        **from_hub: Unpack[FromHub],
    ) -> Self:
        """Load a checkpoint folder, or a model on the hub, ready to generate.

        dtype (or torch_dtype): a torch dtype, its name, or "auto" for the one stored; the codec stays in
        float32 at least. device_map: a device, its number, "auto", or a dictionary that gives every part the
        same device. attn_implementation: "eager", "sdpa" or "flash_attention_2", which all mean torch's fused
        attention. low_cpu_mem_usage and use_safetensors are always so. from_hub: revision, cache_dir, token
        and the like. Raises CheckpointError, DeviceError, ParamError.
        """
        check_attention(attn_implementation)
        folder = locate(pretrained_model_name_or_path, from_hub)
        model, stored = cls._load(folder, config)
        if generation_config is not None:
            model.generation_config = generation_config
        model.config.name_or_path = os.fspath(pretrained_model_name_or_path)
        kind = parse_dtype(torch_dtype if dtype is None else dtype, stored)
        model.to(kind)
        model.config.dtype = kind
        if device_map is not None:
            model.to(parse_device(device_map))
        return model.eval()

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        safe_serialization: bool = True,
        push_to_hub: bool = False,
        max_shard_size: int | str | None = None,
        **to_hub: Unpack[ToHub],
    ) -> None:
        """Write a folder that both `from_pretrained` load; other files there are kept.

        max_shard_size: bytes, or text such as "2GB"; larger weights become several files with an index.
        Raises CheckpointError, or ParamError for `safe_serialization=False`: pickles are not written.
        """
        if not safe_serialization:
            raise ParamError("safe_serialization is False; allowed: True, pickles are not written")
        save(self._writer(max_shard_size), save_directory, push_to_hub, to_hub)

    def _writer(self, max_shard_size: int | str | None) -> Callable[[Path], None]:
        if max_shard_size is None:
            return self._write
        return partial(_write_in_shards, self._write, parse_size(max_shard_size))


def _write_in_shards(write: Callable[[Path], None], most: int, folder: Path) -> None:
    write(folder)
    split_weights(folder, most)


def required(name: str, value: _T | None) -> _T:
    """`value`, or ParamError saying that it is needed."""
    if value is None:
        raise ParamError(f"{name} has to be given; model.generation_config holds it")
    return value
