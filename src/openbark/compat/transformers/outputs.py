"""What `forward` returns: named fields that also read as a tuple and as a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from openbark.backends.torch.gpt import KVCache

__all__ = ["CausalLMOutputWithPast", "MaskedLMOutput", "ModelOutput", "PastKeyValues"]


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


class ModelOutput:
    """Fields that are None are left out of the tuple and the dictionary."""

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are set, in order."""
        return tuple(getattr(self, name) for name in self.keys())

    def keys(self) -> list[str]:
        """Names of the fields that are set."""
        names = [item.name for item in fields(self)]  # type: ignore[arg-type]
        return [name for name in names if getattr(self, name) is not None]

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, str):
            if key not in self.keys():
                raise KeyError(key)
            return getattr(self, key)
        return self.to_tuple()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


@dataclass
class CausalLMOutputWithPast(ModelOutput):
    """Of a causal stage: logits [B, T, V], the cache, hidden states [B, T, D] and attentions [B, H, T, S] of
    every layer when they were asked for (docs/parity.md H8)."""

    logits: Tensor
    past_key_values: PastKeyValues | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class MaskedLMOutput(ModelOutput):
    """Of the fine stage: logits [B, T, V] of one codebook (H11)."""

    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
