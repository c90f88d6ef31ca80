"""The coarse stage's training task: semantic tokens and voice to the first codebooks.

An example is one window of `stages.coarse`, voice history and alignment cut included, followed by the tokens
that inference would draw in it. Every coarse token of the window is a target, those of the history too: the
semantic tokens they belong to are in sight. One attention head is guided to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from openbark.backends.torch.gpt import CausalGPT
from openbark.config import BarkConfig
from openbark.errors import TrainingError
from openbark.stages.coarse import (
    coarse_alignment,
    coarse_context,
    coarse_ids,
    coarse_window_prompt,
    codebook_ids,
    n_coarse_steps,
)
from openbark.training.batching import VoicePool, corrupt, step_rng
from openbark.training.data import Utterance
from openbark.training.loop import decay_groups
from openbark.training.semantic import IGNORED, guided_attention_loss
from openbark.types import Tokens


@dataclass(frozen=True)
class CoarseOptions:
    """batch_size: windows per step. voice_share: examples with a voice history. noise: share of coarse input
    tokens replaced. full_history: a history fills its window, shorter utterances are joined for it.
    guide_weight, guide_layer: attention guidance; 0 switches it off."""

    batch_size: int = 12
    voice_share: float = 0.7
    noise: float = 0.05
    full_history: bool = False
    guide_weight: float = 0.1
    guide_layer: int = 0
    seed: int = 0


@dataclass(frozen=True)
class CoarseBatch:
    """ids [B, P], targets and guide [B, Q] for the queries from the infer token on."""

    ids: Tensor
    targets: Tensor
    guide: Tensor


class CoarseTask:
    """Cross-entropy of coarse tokens, each within its own codebook (`training.loop.Task`)."""

    name = "coarse"

    def __init__(
        self,
        model: CausalGPT,
        config: BarkConfig,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        options: CoarseOptions,
    ) -> None:
        self.module = model
        self._config = config
        self._options = options
        self._train = [u for u in train if _fits(u, config)]
        self._valid = [u for u in valid if _fits(u, config)]
        if not self._train or not self._valid:
            raise TrainingError(
                "the coarse stage needs utterances with semantic tokens and codes in both splits; "
                "run `openbark train prepare`"
            )
        self._voices = VoicePool(
            self._train,
            options.voice_share,
            config.max_semantic_history if options.full_history else 0,
        )
        seconds = np.array([len(_pair(u)[0]) for u in self._train], dtype=np.float64)
        self._weights = np.cumsum(seconds / seconds.sum())

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """AdamW groups."""
        return decay_groups(self.module, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> CoarseBatch:
        """Random windows of utterances drawn by duration."""
        rng = step_rng(self._options.seed, step, rank)
        picks = np.searchsorted(
            self._weights, rng.random(self._options.batch_size) * self._weights[-1]
        )
        examples = [
            self._example(self._train[min(i, len(self._train) - 1)], self._options.noise, rng)
            for i in picks
        ]
        return self._collate(examples)

    def _example(
        self, utterance: Utterance, noise: float, rng: np.random.Generator
    ) -> tuple[Tokens, Tokens, Tokens]:
        config = self._config
        n_codebooks = config.coarse_rules.n_codebooks
        semantic, codes = _pair(utterance)
        n_steps = min(n_coarse_steps(len(semantic), config), codes.shape[1] * n_codebooks)
        ids = coarse_ids(codes[:n_codebooks], config)[:n_steps]
        voice = self._voices.history(utterance, rng)
        if voice is None:
            context = coarse_context(semantic, None, None, config)
        else:
            voice_semantic, voice_codes = _pair(voice)
            context = coarse_context(semantic, voice_semantic, voice_codes[:n_codebooks], config)
        hop = config.coarse_rules.sliding_window
        start = int(rng.integers((n_steps + hop - 1) // hop)) * hop
        prompt = coarse_window_prompt(context, ids[:start], config)
        new = ids[start : start + hop]
        head = config.coarse_rules.max_semantic_input + 1
        targets = np.concatenate([prompt.ids[head:], new])
        guide = coarse_alignment(context, start, len(targets) - len(new), len(new), config)
        codebook = (targets - config.coarse_offset) // config.codebook_size
        noisy = corrupt(targets, 0, config.codebook_size, noise, rng)
        changed = noisy != targets
        inputs = np.where(
            changed, config.coarse_offset + codebook * config.codebook_size + noisy, targets
        )
        return np.concatenate([prompt.ids[:head], inputs[:-1]]), targets, guide

    def _collate(self, examples: Sequence[tuple[Tokens, Tokens, Tokens]]) -> CoarseBatch:
        longest = max(len(targets) for _, targets, _ in examples)
        head = self._config.coarse_rules.max_semantic_input
        pad = self._config.coarse_rules.semantic_pad_token
        ids = np.full((len(examples), head + longest), pad, dtype=np.int64)
        targets = np.full((len(examples), longest), IGNORED, dtype=np.int64)
        guide = np.full((len(examples), longest), -1, dtype=np.int64)
        for row, (row_ids, row_targets, row_guide) in enumerate(examples):
            ids[row, : len(row_ids)] = row_ids
            targets[row, : len(row_targets)] = row_targets
            guide[row, : len(row_guide)] = row_guide
        return CoarseBatch(
            torch.from_numpy(ids), torch.from_numpy(targets), torch.from_numpy(guide)
        )

    def loss(self, batch: CoarseBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy per codebook, plus the guided-attention term."""
        options, device = self._options, self.module.lm_head.weight.device
        ids, targets, guide = (t.to(device) for t in (batch.ids, batch.targets, batch.guide))
        first = self._config.coarse_rules.max_semantic_input
        if options.guide_weight > 0:
            hidden, scores = self.module.forward_guided(ids, None, options.guide_layer, 0)
        else:
            hidden = self.module(ids)
        parts = self._per_codebook(hidden[:, first:], targets)
        n_targets = sum(count for _, _, count in parts)
        cross_entropy = torch.stack([total for total, _, _ in parts]).sum() / max(1, n_targets)
        metrics = {"loss": cross_entropy}
        for k, (total, correct, count) in enumerate(parts):
            metrics[f"cross_entropy_{k}"] = total.detach() / max(1, count)
            metrics[f"accuracy_{k}"] = correct / max(1, count)
        if options.guide_weight > 0:
            guidance = guided_attention_loss(scores, guide, first)
            metrics["loss"] = cross_entropy + options.guide_weight * guidance
            metrics["guidance"] = guidance.detach()
        return metrics

    def _per_codebook(self, hidden: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor, int]]:
        """Summed cross-entropy, correct tokens and number of targets of every codebook. Only the codebook
        that inference would draw from takes part, as in `stages.coarse.choose_coarse`."""
        config, parts = self._config, []
        for k in range(config.coarse_rules.n_codebooks):
            ids = codebook_ids(k, config)
            mine = (targets >= ids.start) & (targets < ids.stop)
            rows = self.module.lm_head.weight[ids]
            logits = F.linear(hidden[mine], rows).float()
            codes = targets[mine] - ids.start
            total = F.cross_entropy(logits, codes, reduction="sum")
            correct = (logits.detach().argmax(-1) == codes).sum()
            parts.append((total, correct.float(), int(mine.sum())))
        return parts

    def validate(self) -> dict[str, float]:
        """Cross-entropy and accuracy per codebook on held-out windows, no noise."""
        rng = step_rng(self._options.seed, 0)
        sums: dict[str, float] = {}
        for start in range(0, len(self._valid), 16):
            examples = [self._example(u, 0.0, rng) for u in self._valid[start : start + 16]]
            batch = self._collate(examples)
            device = self.module.lm_head.weight.device
            hidden = self.module(batch.ids.to(device))
            first = self._config.coarse_rules.max_semantic_input
            for k, (total, correct, count) in enumerate(
                self._per_codebook(hidden[:, first:], batch.targets.to(device))
            ):
                for name, value in (
                    ("total", float(total)),
                    ("correct", float(correct)),
                    ("count", count),
                ):
                    sums[f"{name}_{k}"] = sums.get(f"{name}_{k}", 0.0) + value
        n_codebooks = self._config.coarse_rules.n_codebooks
        n_targets = sum(sums[f"count_{k}"] for k in range(n_codebooks))
        metrics = {"loss": sum(sums[f"total_{k}"] for k in range(n_codebooks)) / n_targets}
        for k in range(n_codebooks):
            metrics[f"cross_entropy_{k}"] = sums[f"total_{k}"] / sums[f"count_{k}"]
            metrics[f"accuracy_{k}"] = sums[f"correct_{k}"] / sums[f"count_{k}"]
        return metrics


def _pair(utterance: Utterance) -> tuple[Tokens, Tokens]:
    if utterance.semantic is None or utterance.codes is None:
        raise TrainingError(f"utterance {utterance.key} lacks tokens; run `openbark train prepare`")
    return utterance.semantic.astype(np.int64), utterance.codes.astype(np.int64)


def _fits(utterance: Utterance, config: BarkConfig) -> bool:
    if utterance.semantic is None or utterance.codes is None:
        return False
    steps = n_coarse_steps(len(utterance.semantic), config)
    return steps > 0 and utterance.codes.shape[1] > 0
