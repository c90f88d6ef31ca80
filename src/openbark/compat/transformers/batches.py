"""Named arrays that move together: what a tokenizer and a processor return (docs/parity.md H30, H37)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from openbark.errors import ParamError

_TENSORS = ("pt", "np", None)


class BatchFeature(dict[str, Any]):
    """Named arrays or tensors that move together."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]

    @property
    def data(self) -> dict[str, Any]:
        """The arrays as a plain dictionary."""
        return dict(self)

    def to(
        self,
        device: str | int | torch.device | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
        *,
        non_blocking: bool = False,
    ) -> Self:
        """Move every tensor, nested ones too (H37). A dtype is for numbers with a fraction: tokens have none."""
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        for name, value in self.items():
            if isinstance(value, BatchFeature):
                value.to(device, dtype, non_blocking=non_blocking)
            elif isinstance(value, Tensor):
                kind = dtype if value.is_floating_point() else None
                self[name] = value.to(device=device, dtype=kind, non_blocking=non_blocking)
        return self

    def convert_to_tensors(self, tensor_type: str | None = None) -> Self:
        """Lists and arrays as "pt" or "np" in place. Raises ParamError for other types."""
        check_tensors(tensor_type)
        for name, value in self.items():
            if isinstance(value, BatchFeature):
                value.convert_to_tensors(tensor_type)
            elif tensor_type is not None:
                self[name] = as_tensors(np.asarray(value), tensor_type)
        return self


class BatchEncoding(BatchFeature):
    """`input_ids`, `attention_mask`, and `history_prompt` with a voice."""


def check_tensors(kind: str | None) -> None:
    """Raise ParamError unless `return_tensors` is one that there is."""
    if kind not in _TENSORS:
        raise ParamError(f"return_tensors is {kind!r}; allowed: 'pt', 'np' or None")


def as_tensors(array: np.ndarray[Any, Any], kind: str | None) -> Any:
    """A torch tensor for "pt", the array for "np", lists for None."""
    if kind == "pt":
        return torch.from_numpy(array.copy())
    return array if kind == "np" else array.tolist()
