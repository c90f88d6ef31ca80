"""What all model classes of this package share: device, dtype, sizes, and refusing to go without a rule set."""

from __future__ import annotations

from typing import Self, TypeVar

import torch
from torch import nn

from openbark.errors import ParamError

__all__ = ["BarkPreTrainedModel", "required"]

_T = TypeVar("_T")


class BarkPreTrainedModel(nn.Module):
    """Base class, as in transformers."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are."""
        return next(self.parameters()).dtype

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

    def to_bettertransformer(self) -> Self:
        """The model itself: its attention is torch's fused one from the start."""
        return self

    def can_generate(self) -> bool:
        """Whether there is a `generate`."""
        return hasattr(self, "generate")


def required(name: str, value: _T | None) -> _T:
    """`value`, or ParamError saying that it is needed."""
    if value is None:
        raise ParamError(f"{name} has to be given; model.generation_config holds it")
    return value
