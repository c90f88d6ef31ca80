"""Draws as Suno's code makes them: from torch's global generator, one multinomial for each token (docs/parity.md B6, S33).

With equal weights and `torch.manual_seed` set alike, tokens equal Suno's. Filters, softmax and draw happen in
the dtype of the logits, on the device the model is on. Knows no stage layout.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from openbark.errors import CheckpointCorruptError
from openbark.params import SamplingParams
from openbark.stages.sampling import Stage
from openbark.types import Logits, Tokens


class SunoSampler:
    """`openbark.engine.draws.Sampler` on torch's global generator."""

    def __init__(self, device: str = "cpu") -> None:
        """device: whose generator is drawn from; Suno draws where the model is."""
        self._device = torch.device(device)

    def token(
        self, logits: Logits, sampling: SamplingParams, stage: Stage, step: int
    ) -> tuple[int, float]:
        """As `Sampler.token`; the generator's state takes the place of stage and step."""
        row = _top_k(_top_p(self._tensor(logits), sampling.top_p), sampling.top_k)
        if sampling.temperature == 0.0:
            token = int(row.argmax())
            return token, float(token == len(row) - 1)
        shares = _shares(row, sampling.temperature)
        return int(torch.multinomial(shares, 1)), float(shares[-1])

    def frames(self, logits: Logits, sampling: SamplingParams, k: int, first_frame: int) -> Tokens:
        """As `Sampler.frames`: one call for all rows. Suno's fine stage has no filters."""
        rows = self._tensor(logits)
        if sampling.temperature == 0.0:
            drawn = rows.argmax(dim=-1)
        else:
            shares = _shares(rows, sampling.temperature)
            drawn = torch.multinomial(shares, 1).reshape(-1)
        tokens: Tokens = drawn.cpu().numpy()
        return tokens

    def _tensor(self, logits: Logits) -> Tensor:
        if np.isnan(logits).any():
            raise CheckpointCorruptError(
                "the model computed logits that are not numbers (NaN): its weights are damaged, or "
                "overflow in this precision; try another copy of the checkpoint"
            )
        return torch.from_numpy(np.array(logits)).to(self._device)


def _shares(rows: Tensor, temperature: float) -> Tensor:
    """Softmax of rows [..., V] over the temperature, in Suno's order of operations where its dtype can hold that."""
    scaled = rows / temperature
    if torch.isfinite(scaled.amax(dim=-1)).all():
        return torch.softmax(scaled, dim=-1)
    # The largest goes to 0 first, and stays there: 0 / temperature may be NaN where a device multiplies by the inverse.
    centred = (rows - rows.amax(dim=-1, keepdim=True)).double()
    exact = torch.where(centred == 0, centred, centred / temperature)
    return torch.softmax(exact, dim=-1).to(rows.dtype)


def _top_p(row: Tensor, top_p: float | None) -> Tensor:
    """In numpy and float32, as Suno: the order of equal logits and the rounding of the sums are numpy's."""
    if top_p is None:
        return row
    values = row.cpu().numpy().astype(np.float32)
    order = np.argsort(values)[::-1]
    ranked = np.exp(values[order] - values.max())
    excluded = np.cumsum(ranked / ranked.sum()) > top_p
    excluded[1:] = excluded[:-1].copy()
    excluded[0] = False
    values[order[excluded]] = -np.inf
    return torch.from_numpy(values).to(row.device)


def _top_k(row: Tensor, top_k: int | None) -> Tensor:
    if top_k is None:
        return row
    smallest_kept = torch.topk(row, min(top_k, len(row))).values[-1]
    return torch.where(row < smallest_kept, -torch.inf, row)
