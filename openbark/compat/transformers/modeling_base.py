"""What all model classes of this package share: device, dtype, and refusing to go without a rule set."""

from __future__ import annotations

from typing import TypeVar

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

    def num_parameters(self) -> int:
        """Number of weights; shared ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def can_generate(self) -> bool:
        """Whether there is a `generate`."""
        return hasattr(self, "generate")


def required(name: str, value: _T | None) -> _T:
    """`value`, or ParamError saying that it is needed."""
    if value is None:
        raise ParamError(f"{name} has to be given; model.generation_config holds it")
    return value
