"""Semantic stage: how text and voice become a prompt, which tokens may follow, and when to stop.

Rules S30-S35 of the Bark family. A prompt has `max_text_tokens` slots, each the sum of a text embedding and a
history embedding, then the infer token. Knows neither tokenizer nor network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from openbark.config import SemanticRules
from openbark.errors import TextError
from openbark.params import GenerationParams, SamplingParams
from openbark.stages.sampling import draw, probabilities
from openbark.types import Tokens


class StopReason(StrEnum):
    """Why the semantic stage ended."""

    EOS = "eos"
    EOS_PROBABILITY = "min_eos_p"
    MAX_TOKENS = "max_tokens"
    MAX_SECONDS = "max_seconds"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a causal stage starts from: `ids` [P], of which the first M positions also receive the
    embeddings of `summed` [M]. P positions, whatever M is."""

    ids: Tokens
    summed: Tokens | None = None


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """The most semantic tokens a request may draw, and what to report when it is reached."""

    n_tokens: int
    reason: StopReason


def semantic_prompt(text_tokens: Tokens, history: Tokens | None, rules: SemanticRules) -> Prompt:
    """Lay out tokenizer ids [N] and a voice's semantic tokens [H] as a prompt of `max_text_tokens` + 1.

    Text is padded, never cut: TextError if N exceeds the slots, or is 0. History keeps its last
    `max_text_tokens` tokens (docs/parity.md S31); None is a prompt of padding.
    """
    slots = rules.max_text_tokens
    if len(text_tokens) == 0:
        raise TextError("the text is empty; write at least one word")
    if len(text_tokens) > slots:
        raise TextError(
            f"the text is {len(text_tokens)} tokens long, this model takes at most {slots}; "
            "split it into sentences and generate them one by one"
        )
    ids = np.full(slots + 1, rules.text_pad_token, dtype=np.int64)
    ids[: len(text_tokens)] = np.asarray(text_tokens, dtype=np.int64) + rules.text_encoding_offset
    ids[slots] = rules.infer_token
    summed = np.full(slots, rules.semantic_pad_token, dtype=np.int64)
    if history is not None:
        tail = np.asarray(history, dtype=np.int64)[-slots:]
        summed[: len(tail)] = tail
    return Prompt(ids, summed)


def token_limit(params: GenerationParams, rules: SemanticRules) -> TokenLimit:
    """The first limit a request meets: the model's, its own count, or the token that exceeds its
    duration (S35: 1.6 s at 49.9 Hz is 80 tokens)."""
    limit = TokenLimit(rules.max_new_tokens, StopReason.MAX_TOKENS)
    if params.max_semantic_tokens is not None and params.max_semantic_tokens < limit.n_tokens:
        limit = TokenLimit(params.max_semantic_tokens, StopReason.MAX_TOKENS)
    if params.max_semantic_seconds is not None:
        # The smaller one before it is rounded: a very long duration times the rate is infinite.
        duration = min(params.max_semantic_seconds * rules.rate_hz, limit.n_tokens)
        if math.floor(duration) + 1 < limit.n_tokens:
            limit = TokenLimit(math.floor(duration) + 1, StopReason.MAX_SECONDS)
    return limit


def drawable_logits(
    logits: NDArray[np.floating], allow_early_stop: bool, rules: SemanticRules
) -> NDArray[np.floating]:
    """The part of a row of logits [V] that can be drawn: the semantic vocabulary and, with
    `allow_early_stop`, the end token behind it (S32)."""
    support = logits[: rules.semantic_vocab_size]
    return np.append(support, logits[rules.eos_token]) if allow_early_stop else support


def early_stop(
    token: int, eos_probability: float, sampling: SamplingParams, rules: SemanticRules
) -> StopReason | None:
    """Why a draw from `drawable_logits` ends the stage, or None: it is the end token, or the end token's
    probability after filters and temperature reaches `min_eos_p`; the draw is discarded then (S34)."""
    if token == rules.semantic_vocab_size:
        return StopReason.EOS
    if sampling.min_eos_p is not None and eos_probability >= sampling.min_eos_p:
        return StopReason.EOS_PROBABILITY
    return None


def choose_semantic(
    logits: NDArray[np.floating],
    sampling: SamplingParams,
    allow_early_stop: bool,
    uniform: float,
    rules: SemanticRules,
) -> int | StopReason:
    """Draw the next semantic token from a row of logits [V], or say why to stop (S32-S34).

    Only the semantic vocabulary and, with `allow_early_stop`, the end token can be drawn. A draw is
    discarded when the end token's probability, after filters and temperature, reaches `min_eos_p`.
    """
    support = drawable_logits(logits, allow_early_stop, rules)
    distribution = probabilities(support[None], sampling)
    token = int(draw(distribution, np.array([uniform]))[0])
    if not allow_early_stop:
        return token
    return early_stop(token, float(distribution[0, -1]), sampling, rules) or token
