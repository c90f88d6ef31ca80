"""The semantic stage's training task: text and voice to semantic tokens.

Prompts come from `stages.semantic`, so training and inference share one layout. Where the data says which
letter is spoken when, one attention head is guided to it (docs/training.md);
nothing of that remains at inference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from openbark.backends.torch.gpt import CausalGPT
from openbark.config import BarkConfig
from openbark.errors import TrainingError
from openbark.stages.semantic import semantic_prompt
from openbark.training.batching import LengthBuckets, VoicePool, corrupt, step_rng
from openbark.training.data import Utterance
from openbark.training.loop import decay_groups

IGNORED = -100
"""Target of a position that has none (torch's own default)."""


@dataclass(frozen=True)
class SemanticOptions:
    """tokens_per_batch: positions per step, prompts included. voice_share: examples with a voice history.
    noise: share of input tokens replaced. guide_weight, guide_layer: attention guidance; 0 switches it off."""

    tokens_per_batch: int = 4096
    voice_share: float = 0.7
    noise: float = 0.05
    guide_weight: float = 0.5
    guide_layer: int = 1
    seed: int = 0


@dataclass(frozen=True)
class SemanticBatch:
    """ids [B, P + T], summed [B, M], targets [B, T + 1] from the infer token on, guide [B, T + 1] (slot of the
    letter being spoken, or -1)."""

    ids: Tensor
    summed: Tensor
    targets: Tensor
    guide: Tensor


def guided_attention_loss(scores: Tensor, guide: Tensor, first_query: int) -> Tensor:
    """Mean negative log attention that queries from `first_query` on pay to their guide slot.

    scores: unmasked logits [B, T, T]; guide: [B, Q] with -1 for no opinion.
    """
    queries = scores[:, first_query : first_query + guide.shape[1]]
    positions = torch.arange(scores.shape[2], device=scores.device)
    visible = (
        positions[None]
        <= first_query + torch.arange(queries.shape[1], device=scores.device)[:, None]
    )
    log_attention = torch.log_softmax(queries.masked_fill(~visible, float("-inf")), dim=-1)
    known = guide >= 0
    picked = log_attention.gather(2, guide.clamp(min=0)[:, :, None])[..., 0]
    return -(picked * known).sum() / known.sum().clamp(min=1)


class SemanticTask:
    """Cross-entropy of semantic tokens and the end token after a prompt (`training.loop.Task`)."""

    name = "semantic"

    def __init__(
        self,
        model: CausalGPT,
        config: BarkConfig,
        encode: Callable[[str], NDArray[np.int64]],
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        options: SemanticOptions,
    ) -> None:
        self.module = model
        self._config = config
        self._options = options
        rules = config.semantic_rules
        # By the text itself, which cannot be that of another utterance.
        self._text = {text: encode(text) for text in {u.text for u in (*train, *valid)}}
        self._train = [u for u in train if self._fits(u)]
        self._valid = [u for u in valid if self._fits(u)]
        if not self._valid:
            raise TrainingError("the validation set has no utterance that fits the semantic stage")
        self._voices = VoicePool(self._train, options.voice_share)
        prompt_length = rules.max_text_tokens + 1
        lengths = [prompt_length + len(_semantic(u)) for u in self._train]
        self._buckets = LengthBuckets(lengths, options.tokens_per_batch, options.seed)

    def _fits(self, utterance: Utterance) -> bool:
        rules = self._config.semantic_rules
        return (
            utterance.semantic is not None
            and 0 < len(self._text[utterance.text]) <= rules.max_text_tokens
            and 0 < len(utterance.semantic) < rules.max_new_tokens
        )

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """AdamW groups."""
        return decay_groups(self.module, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> SemanticBatch:
        """Batch of one step: a bucket of like-length utterances, each with its own voice history or none."""
        rng = step_rng(self._options.seed, step, rank)
        chosen = [self._train[i] for i in self._buckets.batch(step * world + rank)]
        voices = [self._voices.history(u, rng) for u in chosen]
        return self._collate(chosen, voices, self._options.noise, rng)

    def _collate(
        self,
        utterances: Sequence[Utterance],
        voices: Sequence[Utterance | None],
        noise: float,
        rng: np.random.Generator,
    ) -> SemanticBatch:
        rules = self._config.semantic_rules
        n_prompt, rows = rules.max_text_tokens + 1, len(utterances)
        longest = max(len(_semantic(u)) for u in utterances)
        ids = np.full((rows, n_prompt + longest), rules.semantic_pad_token, dtype=np.int64)
        summed = np.empty((rows, rules.max_text_tokens), dtype=np.int64)
        targets = np.full((rows, longest + 1), IGNORED, dtype=np.int64)
        guide = np.full((rows, longest + 1), -1, dtype=np.int64)
        for row, (utterance, voice) in enumerate(zip(utterances, voices, strict=True)):
            history = None if voice is None else _semantic(voice)
            prompt = semantic_prompt(self._text[utterance.text], history, rules)
            if prompt.summed is None:
                raise TypeError("a semantic prompt always has summed history slots")
            tokens = _semantic(utterance)
            ids[row, :n_prompt], summed[row] = prompt.ids, prompt.summed
            noisy = corrupt(tokens, 0, rules.semantic_vocab_size, noise, rng)
            ids[row, n_prompt : n_prompt + len(tokens)] = noisy
            targets[row, : len(tokens)] = tokens
            targets[row, len(tokens)] = rules.eos_token
            if utterance.guide is not None:
                guide[row, : len(tokens)] = utterance.guide
        return SemanticBatch(*(torch.from_numpy(a) for a in (ids, summed, targets, guide)))

    def loss(
        self, batch: SemanticBatch, step: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Cross-entropy, plus the guided-attention term where the data has letter timings."""
        options, device = self._options, self.module.lm_head.weight.device
        ids, summed, targets, guide = (
            t.to(device) for t in (batch.ids, batch.summed, batch.targets, batch.guide)
        )
        first = self._config.semantic_rules.max_text_tokens
        guided = options.guide_weight > 0 and bool((batch.guide >= 0).any())
        if guided:
            hidden, scores = self.module.forward_guided(ids, summed, options.guide_layer, 0)
        else:
            hidden = self.module(ids, summed)
        logits = self.module.lm_head(hidden[:, first:]).float()
        cross_entropy = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        metrics = {"loss": cross_entropy, "cross_entropy": cross_entropy.detach()}
        if guided:
            guidance = guided_attention_loss(scores, guide, first)
            metrics["loss"] = cross_entropy + options.guide_weight * guidance
            metrics["guidance"] = guidance.detach()
        return metrics

    def validate(self) -> dict[str, float]:
        """Cross-entropy and accuracy on held-out utterances, no noise, voices as in training."""
        rng = step_rng(self._options.seed, 0)
        total = correct = count = 0.0
        for start in range(0, len(self._valid), 16):
            chosen = self._valid[start : start + 16]
            voices = [self._voices.history(u, rng) for u in chosen]
            batch = self._collate(chosen, voices, 0.0, rng)
            device = self.module.lm_head.weight.device
            hidden = self.module(batch.ids.to(device), batch.summed.to(device))
            logits = (
                self.module.lm_head(hidden[:, self._config.semantic_rules.max_text_tokens :])
                .float()
                .cpu()
            )
            targets = batch.targets
            known = targets != IGNORED
            total += float(
                F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
            )
            correct += float(((logits.argmax(-1) == targets) & known).sum())
            count += float(known.sum())
        return {"loss": total / count, "accuracy": correct / count}


def _semantic(utterance: Utterance) -> NDArray[np.int64]:
    if utterance.semantic is None:
        raise TrainingError(
            f"utterance {utterance.key} has no semantic tokens; run `openbark train prepare`"
        )
    return utterance.semantic.astype(np.int64)
