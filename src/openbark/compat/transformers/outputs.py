"""What `forward` returns: named fields that also read as a tuple and as a dictionary."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import torch
from torch import Tensor

from openbark.backends.torch.gpt import KVCache


class PastKeyValues(KVCache):
    """The KV cache, with the question that generation loops ask of it."""

    def get_seq_length(self) -> int:
        """Positions that are filled."""
        return self.length

    def reorder(self, rows: Tensor) -> None:
        """Give row b what row `rows[b]` holds."""
        filled = slice(self.length)
        self.keys[:, :, :, filled] = self.keys[:, rows, :, filled]
        self.values[:, :, :, filled] = self.values[:, rows, :, filled]


class ModelOutput(OrderedDict[str, Any]):
    """Fields that are None are left out of the tuple and the dictionary."""

    def __post_init__(self) -> None:
        _known_to_torch(type(self))
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if value is not None:
                super().__setitem__(item.name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """A field that is set is in the dictionary too."""
        if name in self:
            super().__setitem__(name, value)
        super().__setattr__(name, value)

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are set, in order."""
        return tuple(self.values())

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def __reduce__(self) -> tuple[Any, ...]:
        names = [item.name for item in fields(self)]  # type: ignore[arg-type]
        return type(self), tuple(getattr(self, name) for name in names)


@cache
def _known_to_torch(kind: type[ModelOutput]) -> None:
    """Let torch.export take the outputs apart and put them together."""
    torch.export.register_dataclass(kind, serialized_type_name=f"{__name__}.{kind.__name__}")


@dataclass(eq=False)
class CausalLMOutputWithPast(ModelOutput):
    """Of a causal stage: logits [B, T, V], the cache, hidden states [B, T, D] and attentions [B, H, T, S] of
    every layer when they were asked for (docs/parity.md H8)."""

    logits: Tensor
    past_key_values: PastKeyValues | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class MaskedLMOutput(ModelOutput):
    """Of the fine stage: logits [B, T, V] of one codebook (H11)."""

    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
