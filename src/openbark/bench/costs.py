"""What a clip costs by formula: bytes that must be read, multiplications and additions that the result needs.

Weights are read once per step, cached keys and values once per position that a step sees. Work that a contestant
does beyond that (whole heads, positions that are not read) is its own: it counts as time, not as operations. Nothing is
measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from openbark.config import BarkConfig, GPTConfig
from openbark.stages.coarse import coarse_context, coarse_window_prompt, n_coarse_steps
from openbark.stages.fine import fine_canvas, fine_windows
from openbark.types import Tokens
from openbark.voices.voice import Voice

BITS: Mapping[str, float] = MappingProxyType(
    {"float32": 32.0, "bfloat16": 16.0, "int8": 8.0, "int4": 4.25}
)
"""Bits per weight of a block, scales included; heads have 8 in int4."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Bytes of a block's weight, of a head's, of a number in the cache, and of the scale that a position has there
    for the keys of one head, and for its values."""

    block: float
    head: float
    cache: float
    cache_scale: float

    @classmethod
    def of(cls, dtype: str) -> Widths:
        """As the compiled engine stores them in a precision (docs/native.md)."""
        bits = BITS[dtype]
        cache = {"float32": 4.0, "bfloat16": 2.0}.get(dtype, 1.0)
        return cls(bits / 8, max(bits, 8.0) / 8, cache, 4.0 if cache == 1.0 else 0.0)


@dataclass(frozen=True, slots=True)
class Cost:
    """A stage of one clip. steps: tokens drawn one after another, or passes of the fine stage. decode_bytes:
    read by the steps after a prompt; decode_operations and prompt_operations: done by them and by prompts."""

    steps: int
    decode_bytes: float = 0.0
    decode_operations: float = 0.0
    prompt_operations: float = 0.0

    @property
    def operations(self) -> float:
        """All of them."""
        return self.decode_operations + self.prompt_operations


def _block_weights(config: GPTConfig) -> int:
    return 12 * config.n_layer * config.n_embd**2


def decode_cost(config: GPTConfig, head_rows: int, cached: int, widths: Widths) -> Cost:
    """One step that sees `cached` positions and its own, and can draw `head_rows` tokens."""
    blocks, head = _block_weights(config), head_rows * config.n_embd
    values = 2 * config.n_layer * config.n_embd * (cached + 1)
    scales = 2 * config.n_layer * config.n_head * (cached + 1)
    n_bytes = blocks * widths.block + head * widths.head
    n_bytes += values * widths.cache + scales * widths.cache_scale
    return Cost(1, n_bytes, 2.0 * (blocks + head) + 2.0 * values)


def prefill_operations(config: GPTConfig, length: int) -> float:
    """A prompt of `length` positions, each seeing those before it."""
    attention = 2.0 * config.n_layer * config.n_embd * length * (length + 1)
    return 2.0 * _block_weights(config) * length + attention


def _causal(config: GPTConfig, head_rows: int, runs: list[tuple[int, int]], widths: Widths) -> Cost:
    """`runs`: positions of the prompt and tokens drawn after it, the first of them from the prompt itself."""
    steps, n_bytes, operations, prompts = 0, 0.0, 0.0, 0.0
    for prompt, drawn in runs:
        prompts += prefill_operations(config, prompt) + 2.0 * head_rows * config.n_embd
        steps += drawn
        for step in range(drawn - 1):
            cost = decode_cost(config, head_rows, prompt + step, widths)
            n_bytes += cost.decode_bytes
            operations += cost.decode_operations
    return Cost(steps, n_bytes, operations, prompts)


def _coarse_runs(n_semantic: int, voice: Voice | None, config: BarkConfig) -> list[tuple[int, int]]:
    semantic = np.zeros(n_semantic, dtype=np.int64)
    given: tuple[Tokens | None, Tokens | None] = (
        (voice.semantic, voice.coarse) if voice else (None, None)
    )
    context = coarse_context(semantic, *given, config)
    total, window = n_coarse_steps(n_semantic, config), config.coarse_rules.sliding_window
    runs = []
    for first in range(0, total, window):
        prompt = coarse_window_prompt(context, np.zeros(first, dtype=np.int64), config)
        runs.append((len(prompt.ids), min(window, total - first)))
    return runs


def _fine(n_frames: int, voice: Voice | None, config: BarkConfig) -> Cost:
    given, fine = config.coarse_rules.n_codebooks, config.fine
    coarse = np.zeros((given, n_frames), dtype=np.int64)
    canvas = fine_canvas(coarse, voice.fine if voice else None, config)
    windows = fine_windows(canvas, config)
    n, passes = config.fine_rules.max_input, config.fine_rules.n_codebooks - given
    operations = 0.0
    for window in windows:
        drawn = window.stop - window.fill
        blocks = 2.0 * _block_weights(fine) * n + 4.0 * fine.n_layer * fine.n_embd * n * n
        operations += passes * (blocks + 2.0 * fine.n_embd * config.codebook_size * drawn)
    return Cost(len(windows) * passes, prompt_operations=operations)


def clip_costs(
    config: BarkConfig, n_semantic: int, voice: Voice | None, widths: Widths
) -> dict[str, Cost]:
    """Cost of the three transformers' stages; the codec is not counted."""
    rules = config.semantic_rules
    semantic = _causal(
        config.semantic,
        max(rules.semantic_vocab_size, rules.eos_token + 1),
        [(rules.max_text_tokens + 1, n_semantic)],
        widths,
    )
    runs = _coarse_runs(n_semantic, voice, config)
    coarse = _causal(config.coarse, config.codebook_size, runs, widths)
    n_frames = coarse.steps // config.coarse_rules.n_codebooks
    return {"semantic": semantic, "coarse": coarse, "fine": _fine(n_frames, voice, config)}
