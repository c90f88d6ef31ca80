"""Coarse stage: how many tokens, which window of semantic and coarse history each step sees, what may be drawn.

Rules S36-S37 of the Bark family. Coarse tokens are interleaved by codebook, frame after frame, and stand behind
the semantic vocabulary: id = coarse_offset + k * codebook_size + code. Knows no network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openbark.config import BarkConfig
from openbark.errors import ParamError
from openbark.params import SamplingParams
from openbark.scalars import read_whole
from openbark.stages.sampling import draw, probabilities
from openbark.stages.semantic import Prompt
from openbark.types import Tokens

ALIGNMENT_CUT = 2
"""Coarse tokens dropped from the end of a voice's history to line it up in time (docs/parity.md S37)."""


CoarseWindow = str | tuple[int, int]
"""How far the coarse stage looks back, and how many tokens it draws before it looks again."""


def with_coarse_window(config: BarkConfig, window: CoarseWindow | None) -> BarkConfig:
    """`config` with other coarse windows: "stock" or None keeps its own, "wide" draws as many tokens per
    window as the context holds (630 and 138 for Suno), a pair names history and hop in tokens.

    Fewer windows are less work; every choice but the checkpoint's own changes what is drawn. Raises ParamError.
    """
    rules = config.coarse_rules
    if window is None or window == "stock":
        return config
    if window == "wide":
        free = config.coarse.block_size - config.coarse_positions(rules.max_history, 0)
        pair = (rules.max_history, free - free % rules.n_codebooks)
    elif isinstance(window, tuple) and len(window) == 2:
        pair = (window[0], window[1])
    else:
        raise ParamError(
            f"coarse_window is {window!r}; allowed: 'stock', 'wide', or (history, hop) in coarse tokens"
        )
    history, hop = (read_whole(number) for number in pair)
    if history is None or hop is None:
        raise ParamError(
            f"coarse_window is {window!r}; allowed: two whole numbers of coarse tokens"
        )
    n_codebooks = rules.n_codebooks
    most = config.coarse.block_size - config.coarse_positions(0, 0)
    if (
        min(history, hop) < n_codebooks
        or history % n_codebooks
        or hop % n_codebooks
        or history + hop > most
    ):
        raise ParamError(
            f"coarse_window is ({history}, {hop}); allowed: multiples of {n_codebooks} from {n_codebooks}, "
            f"{most} together at most"
        )
    return replace(config, coarse_rules=replace(rules, max_history=history, sliding_window=hop))


def n_coarse_steps(n_semantic: int, config: BarkConfig) -> int:
    """Coarse tokens that `n_semantic` semantic tokens become: whole frames only (S36)."""
    n_codebooks = config.coarse_rules.n_codebooks
    return round(math.floor(n_semantic * config.coarse_per_semantic / n_codebooks) * n_codebooks)


def coarse_ids(codes: Tokens, config: BarkConfig) -> Tokens:
    """Interleave codes [K, T] into coarse token ids [K * T]."""
    offsets = config.coarse_offset + config.codebook_size * np.arange(len(codes))[:, None]
    return np.ascontiguousarray((np.asarray(codes, dtype=np.int64) + offsets).T.reshape(-1))


def coarse_codes(ids: Tokens, config: BarkConfig) -> Tokens:
    """Undo `coarse_ids` for tokens that start at codebook 0: ids [K * T] -> codes [K, T]."""
    n_codebooks = config.coarse_rules.n_codebooks
    offsets = config.coarse_offset + config.codebook_size * np.arange(n_codebooks)[:, None]
    return np.ascontiguousarray(
        np.asarray(ids, dtype=np.int64).reshape(-1, n_codebooks).T - offsets
    )


@dataclass(frozen=True, slots=True)
class CoarseContext:
    """What the windows of one request slide over: `semantic` [H + T] with `n_history` = H tokens of the
    voice before the T new ones, and the voice's coarse ids `history` [C]."""

    semantic: Tokens
    n_history: int
    history: Tokens

    @property
    def n_semantic(self) -> int:
        """New semantic tokens."""
        return len(self.semantic) - self.n_history


def coarse_context(
    semantic: Tokens,
    voice_semantic: Tokens | None,
    voice_coarse: Tokens | None,
    config: BarkConfig,
) -> CoarseContext:
    """Trim a voice (semantic [H], codes [K, T]) to the window and put it before `semantic` [T] (S37).

    An empty trim (n_history = 0) keeps the whole voice, and the coarse tail may start inside a frame:
    both as in the original, whose windows then shift by one codebook.
    """
    new = np.asarray(semantic, dtype=np.int64)
    if voice_semantic is None or voice_coarse is None:
        empty = np.zeros(0, dtype=np.int64)
        return CoarseContext(new, 0, empty)
    ratio = config.coarse_per_semantic
    ids = coarse_ids(voice_coarse, config)
    n_semantic = min(
        config.max_semantic_history,
        len(voice_semantic) - len(voice_semantic) % 2,
        math.floor(len(ids) / ratio),
    )
    n_coarse = round(n_semantic * ratio)
    history_semantic = np.asarray(voice_semantic, dtype=np.int64)[-n_semantic:]
    history_ids = ids[-n_coarse:][:-ALIGNMENT_CUT]
    return CoarseContext(
        np.concatenate([history_semantic, new]), len(history_semantic), history_ids
    )


def coarse_window_prompt(context: CoarseContext, drawn: Tokens, config: BarkConfig) -> Prompt:
    """Prompt of the window that starts once the coarse ids `drawn` [n] exist (S36): the semantic tokens
    around that moment padded to `max_semantic_input`, the infer token, the last `max_history` coarse ids."""
    rules = config.coarse_rules
    start = _window_start(context, len(drawn), config)
    visible = context.semantic[start : start + rules.max_semantic_input]
    head = np.full(rules.max_semantic_input + 1, rules.semantic_pad_token, dtype=np.int64)
    head[: len(visible)] = visible
    head[-1] = rules.infer_token
    tail = np.concatenate([context.history, drawn])[-rules.max_history :]
    return Prompt(np.concatenate([head, tail]))


def coarse_sight(context: CoarseContext, n_drawn: int, config: BarkConfig) -> int:
    """New semantic tokens, counted from the first, that the window after `n_drawn` coarse tokens can see: with more
    of them its prompt is the same (docs/streaming.md)."""
    sees = _window_start(context, n_drawn, config) + config.coarse_rules.max_semantic_input
    return sees - context.n_history


def _window_start(context: CoarseContext, n_drawn: int, config: BarkConfig) -> int:
    """First semantic token that the window after `n_drawn` coarse tokens sees."""
    moment = context.n_history + round(n_drawn / config.coarse_per_semantic)
    return max(0, moment - config.max_semantic_history)


def coarse_alignment(
    context: CoarseContext, n_drawn: int, n_tail: int, n_new: int, config: BarkConfig
) -> Tokens:
    """Prompt position of the semantic token that each coarse token of a window belongs to, or -1 if it is
    out of sight: for the `n_tail` coarse ids of its prompt, then the `n_new` drawn in it. Training only."""
    start = _window_start(context, n_drawn, config)
    order = np.arange(n_drawn - n_tail, n_drawn + n_new)
    before_cut = order + len(context.history)
    semantic = np.where(
        order < 0,
        np.floor(before_cut / config.coarse_per_semantic),
        context.n_history + np.floor(order / config.coarse_per_semantic),
    ).astype(np.int64)
    slots = semantic - start
    visible = min(config.coarse_rules.max_semantic_input, len(context.semantic) - start)
    return np.where((slots >= 0) & (slots < visible), slots, -1)


def codebook_ids(k: int, config: BarkConfig) -> slice:
    """The coarse token ids of codebook k."""
    start = config.coarse_offset + k * config.codebook_size
    return slice(start, start + config.codebook_size)


def choose_coarse(
    logits: NDArray[np.floating],
    step: int,
    sampling: SamplingParams,
    uniform: float,
    config: BarkConfig,
) -> int:
    """Draw coarse token number `step` of the request from logits [V]: only the codebook whose turn it is,
    counted over the whole request, can be drawn (S36). Returns the token id."""
    ids = codebook_ids(step % config.coarse_rules.n_codebooks, config)
    support = np.asarray(logits[ids], dtype=np.float64)
    code = draw(probabilities(support[None], sampling), np.array([uniform]))[0]
    return int(ids.start + code)
