"""Whether a backend with rounded weights still draws what the exact one would: distributions compared under
teacher forcing, token by token, on fixed pseudo-random sequences that every stage's rules allow.

Both are given the same tokens, so one disagreement does not lead to the next. Knows no backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openbark.config import BarkConfig
from openbark.stages.coarse import coarse_context, coarse_window_prompt, codebook_ids
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt, semantic_prompt
from openbark.types import Tokens

_TEMPERATURE = 0.7
_TEXT_TOKENS, _HISTORY_TOKENS, _STEPS = 24, 64, 40
_COARSE_TAIL, _FINE_FRAMES = 60, 160

_Rows = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forced:
    """What both are given. semantic, coarse: a prompt and the tokens [N] that follow; fine: codes [K, F]."""

    semantic: tuple[Prompt, Tokens]
    coarse: tuple[Prompt, Tokens]
    fine: Tokens


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one stage, over all positions. same_choice: share at which the most likely token is the same;
    overlap: mean probability that both draw the same token from the same number, at temperature 0.7."""

    same_choice: float
    overlap: float
    n_positions: int


class RowSource(Protocol):
    """Logits under teacher forcing."""

    def causal_rows(self, stage: Stage, prompt: Prompt, tokens: Tokens) -> _Rows:
        """Logits [N + 1, V] after the prompt and after each of the tokens [N]."""
        ...

    def fine_rows(self, codes: Tokens, k: int) -> _Rows:
        """Logits [F, V] of codebook k for codes [K, F]."""
        ...


def forced_sequences(config: BarkConfig, seed: int = 0) -> Forced:
    """Sequences for a model of these sizes; the same for the same seed."""
    generator = np.random.default_rng(seed)
    rules, coarse_rules = config.semantic_rules, config.coarse_rules
    n_ids = config.semantic.input_vocab_size - rules.text_encoding_offset
    text = generator.integers(0, n_ids, min(_TEXT_TOKENS, rules.max_text_tokens))
    history = generator.integers(0, rules.semantic_vocab_size, _HISTORY_TOKENS)
    prompt = semantic_prompt(text, history, rules)
    room = config.semantic.block_size - len(prompt.ids)
    semantic = generator.integers(0, rules.semantic_vocab_size, min(_STEPS, room))
    codes = generator.integers(0, config.codebook_size, _COARSE_TAIL + _STEPS)
    n_codebooks = coarse_rules.n_codebooks
    offsets = config.coarse_offset + config.codebook_size * (np.arange(codes.size) % n_codebooks)
    ids = (codes + offsets).astype(np.int64)
    tail = min(_COARSE_TAIL, coarse_rules.max_history) // n_codebooks * n_codebooks
    context = coarse_context(semantic, None, None, config)
    coarse_prompt = coarse_window_prompt(context, ids[:tail], config)
    room = config.coarse.block_size - len(coarse_prompt.ids)
    frames = min(_FINE_FRAMES, config.fine_rules.max_input)
    fine = generator.integers(0, config.codebook_size, (config.fine_rules.n_codebooks, frames))
    return Forced(
        (prompt, semantic.astype(np.int64)),
        (coarse_prompt, ids[tail : tail + min(_STEPS, room)]),
        fine.astype(np.int64),
    )


def agreement(
    exact: RowSource, rounded: RowSource, config: BarkConfig, seed: int = 0
) -> Mapping[str, Agreement]:
    """Compare two sources, stage by stage: "semantic", "coarse", "fine"."""
    forced = forced_sequences(config, seed)
    prompt, tokens = forced.semantic
    drawable = config.semantic_rules.semantic_vocab_size
    semantic = [
        source.causal_rows(Stage.SEMANTIC, prompt, tokens)[:, :drawable]
        for source in (exact, rounded)
    ]
    prompt, tokens = forced.coarse
    coarse = [
        _turns(source.causal_rows(Stage.COARSE, prompt, tokens), config)
        for source in (exact, rounded)
    ]
    levels = (config.coarse_rules.n_codebooks, config.fine_rules.n_codebooks - 1)
    fine = [
        np.concatenate(
            [source.fine_rows(forced.fine, k)[:, : config.codebook_size] for k in levels]
        )
        for source in (exact, rounded)
    ]
    return {
        "semantic": _compared(semantic[0], semantic[1]),
        "coarse": _compared(coarse[0], coarse[1]),
        "fine": _compared(fine[0], fine[1]),
    }


def _turns(rows: _Rows, config: BarkConfig) -> _Rows:
    """Of each row the codebook whose turn it is."""
    n_codebooks = config.coarse_rules.n_codebooks
    return np.stack(
        [row[codebook_ids(step % n_codebooks, config)] for step, row in enumerate(rows)]
    )


def _compared(exact: _Rows, rounded: _Rows) -> Agreement:
    overlap = np.minimum(_distribution(exact), _distribution(rounded)).sum(axis=-1)
    same = exact.argmax(axis=-1) == rounded.argmax(axis=-1)
    # What is not a number agrees with nothing.
    finite = np.isfinite(rounded).all(axis=-1)
    return Agreement(
        float(np.mean(same & finite)),
        float(np.mean(np.where(finite, overlap, 0.0))),
        len(exact),
    )


def _distribution(rows: _Rows) -> _Rows:
    scaled = rows / _TEMPERATURE
    weights = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    shares: _Rows = weights / weights.sum(axis=-1, keepdims=True)
    return shares
