"""The fine stage's training task: the missing codebooks of a window, one codebook per step.

Windows, histories and padding come from `stages.fine`. The loss covers the frames that inference would fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from openbark.backends.torch.fine import FineGPT
from openbark.config import BarkConfig
from openbark.errors import TrainingError
from openbark.stages.fine import fine_canvas, fine_windows
from openbark.training.batching import VoicePool, corrupt, step_rng
from openbark.training.data import Utterance
from openbark.training.loop import decay_groups
from openbark.training.semantic import IGNORED

_MAX_VALID = 24


@dataclass(frozen=True)
class FineOptions:
    """batch_size: windows per step. voice_share: examples with a voice history. noise: share of input codes
    replaced."""

    batch_size: int = 12
    voice_share: float = 0.7
    noise: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class FineBatch:
    """codes [B, K, N], the codebook to predict, its targets [B, N]."""

    codes: Tensor
    k: int
    targets: Tensor


class FineTask:
    """Cross-entropy of one codebook given those before it (`training.loop.Task`)."""

    name = "fine"

    def __init__(
        self,
        model: FineGPT,
        config: BarkConfig,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        options: FineOptions,
    ) -> None:
        self.module = model
        self._config = config
        self._options = options
        self._train = [u for u in train if u.codes is not None and u.codes.shape[1] > 0]
        self._valid = [u for u in valid if u.codes is not None and u.codes.shape[1] > 0]
        if not self._train or not self._valid:
            raise TrainingError("the fine stage needs utterances with codes in both splits")
        self._voices = VoicePool(self._train, options.voice_share)
        # Spread over the whole split: its order is that of the folders, hence of the speakers.
        self._valid_stride = -(-len(self._valid) // _MAX_VALID)

    @property
    def _codebooks(self) -> range:
        return range(self._config.coarse_rules.n_codebooks, self._config.fine_rules.n_codebooks)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """AdamW groups."""
        return decay_groups(self.module, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> FineBatch:
        """Random windows of random utterances; codebooks take turns over the steps."""
        rng = step_rng(self._options.seed, step, rank)
        k = self._codebooks[(step * world + rank) % len(self._codebooks)]
        chosen = rng.integers(len(self._train), size=self._options.batch_size)
        return self._collate([self._train[i] for i in chosen], k, self._options.noise, rng)

    def _collate(
        self, utterances: Sequence[Utterance], k: int, noise: float, rng: np.random.Generator
    ) -> FineBatch:
        rows = [self._example(u, k, noise, rng) for u in utterances]
        codes = torch.from_numpy(np.stack([row for row, _ in rows]))
        return FineBatch(codes, k, torch.from_numpy(np.stack([target for _, target in rows])))

    def _example(
        self, utterance: Utterance, k: int, noise: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        config = self._config
        truth = _codes(utterance)
        voice = self._voices.history(utterance, rng)
        canvas = fine_canvas(truth[:k], None if voice is None else _codes(voice), config)
        windows = fine_windows(canvas, config)
        window = windows[int(rng.integers(len(windows)))]
        first, last = canvas.n_history, canvas.n_history + canvas.n_frames
        # What an earlier window has filled is there already when a later one starts.
        canvas.codes[k, first : window.fill] = truth[k, : window.fill - first]
        targets = np.full(canvas.codes.shape[1], IGNORED, dtype=np.int64)
        targets[window.fill : last] = truth[k, window.fill - first :]
        seen = canvas.codes[:, window.start : window.stop].copy()
        given = seen[:k]
        noisy = corrupt(given, 0, config.codebook_size, noise, rng)
        seen[:k] = np.where(given < config.codebook_size, noisy, given)
        return seen, targets[window.start : window.stop]

    def loss(self, batch: FineBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the batch's codebook."""
        device = self.module.position_embeds_layer.weight.device
        total, correct, count = self._score(batch, device)
        return {"loss": total / max(1, count), "accuracy": correct / max(1, count)}

    def _score(self, batch: FineBatch, device: torch.device) -> tuple[Tensor, Tensor, int]:
        logits = self.module(batch.codes.to(device), batch.k)[..., : self._config.codebook_size]
        targets = batch.targets.to(device)
        known = targets != IGNORED
        chosen = logits[known].float()
        total = F.cross_entropy(chosen, targets[known], reduction="sum")
        correct = (chosen.detach().argmax(-1) == targets[known]).sum().float()
        return total, correct, int(known.sum())

    def validate(self) -> dict[str, float]:
        """Cross-entropy and accuracy of every codebook on held-out windows."""
        device = self.module.position_embeds_layer.weight.device
        metrics, total, count = {}, 0.0, 0
        for k in self._codebooks:
            rng = step_rng(self._options.seed, 0)
            batch = self._collate(self._valid[:: self._valid_stride], k, 0.0, rng)
            part, correct, n = self._score(batch, device)
            metrics[f"cross_entropy_{k}"] = float(part) / max(1, n)
            metrics[f"accuracy_{k}"] = float(correct) / max(1, n)
            total, count = total + float(part), count + n
        return {"loss": total / max(1, count), **metrics}


def _codes(utterance: Utterance) -> NDArray[np.int64]:
    if utterance.codes is None:
        raise TrainingError(f"utterance {utterance.key} has no codes; run `openbark train prepare`")
    return utterance.codes.astype(np.int64)
