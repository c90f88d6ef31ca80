"""When a row of a stage is finished: its end tokens, a time limit, the caller's criteria (docs/parity.md H23)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from openbark.compat.transformers.generation_options import StageOptions


@dataclass(frozen=True)
class Stop:
    """The rules of one stage; `started` is the clock's value at its first token, in seconds."""

    options: StageOptions
    eos: tuple[int, ...]
    started: float

    def __call__(self, ids: Tensor, scores: Tensor | None) -> Tensor:
        """Which rows [B] of ids [B, P + n] are finished."""
        stop = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        for token in self.eos:
            stop |= ids[:, -1] == token
        limit = self.options.max_time
        if limit is not None and time.monotonic() - self.started > limit:
            stop[:] = True
        for criterion in self.options.stopping_criteria:
            verdict = torch.as_tensor(criterion(ids, scores), device=ids.device, dtype=torch.bool)
            stop |= verdict
        return stop
