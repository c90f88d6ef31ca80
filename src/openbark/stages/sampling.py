"""From logits to one token: filters in Suno's order and a draw that depends on (seed, stage, step) alone.

The noise is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a
counter-based generator: a request draws the same numbers alone, in a batch, streamed or not, on any backend.
Knows no model and no stage layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from openbark.errors import CheckpointCorruptError
from openbark.params import SamplingParams

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

Words = tuple[int, int, int, int]
"""One Philox block: four 32-bit words."""


class Stage(IntEnum):
    """The stages that draw tokens; the number is part of the noise key and never changes."""

    SEMANTIC = 0
    COARSE = 1
    FINE = 2


def philox4x32(counters: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Ten rounds of Philox4x32 on `counters` [N, 4] under a 64-bit `key`; returns [N, 4]."""
    words = counters.astype(np.uint64)
    key_low, key_high = key
    for _ in range(_ROUNDS):
        product_0 = words[:, 0] * _MULTIPLIERS[0]
        product_1 = words[:, 2] * _MULTIPLIERS[1]
        words = np.stack(
            [
                (product_1 >> _HALF) ^ words[:, 1] ^ np.uint64(key_low),
                product_1 & _LOW,
                (product_0 >> _HALF) ^ words[:, 3] ^ np.uint64(key_high),
                product_0 & _LOW,
            ],
            axis=1,
        )
        key_low = (key_low + _WEYL[0]) & 0xFFFFFFFF
        key_high = (key_high + _WEYL[1]) & 0xFFFFFFFF
    return words.astype(np.uint32)


def philox4x32_single(counter: Words, key: tuple[int, int]) -> Words:
    """`philox4x32` of one counter in plain integers: a hundredth of the time of one row of numpy."""
    word_0, word_1, word_2, word_3 = counter
    key_low, key_high = key
    for _ in range(_ROUNDS):
        product_0 = word_0 * int(_MULTIPLIERS[0])
        product_1 = word_2 * int(_MULTIPLIERS[1])
        word_0 = (product_1 >> 32) ^ word_1 ^ key_low
        word_2 = (product_0 >> 32) ^ word_3 ^ key_high
        word_1, word_3 = product_1 & 0xFFFFFFFF, product_0 & 0xFFFFFFFF
        key_low = (key_low + _WEYL[0]) & 0xFFFFFFFF
        key_high = (key_high + _WEYL[1]) & 0xFFFFFFFF
    return word_0, word_1, word_2, word_3


@dataclass(frozen=True, slots=True)
class Noise:
    """Uniform numbers of one request, addressed by (stage, step, row) and never consumed in order."""

    seed: int

    def uniforms(self, stage: Stage, step: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """One number in [0, 1) for each of `rows` [R] at `step`, with 53 random bits.

        `step` counts tokens in the semantic and coarse stages (row 0) and codebooks in the fine stage,
        where a row is a frame.
        """
        counters = np.empty((len(rows), 4), dtype=np.uint32)
        counters[:, 0] = step
        counters[:, 1] = rows
        counters[:, 2] = int(stage)
        counters[:, 3] = 0
        words = philox4x32(counters, (self.seed & 0xFFFFFFFF, self.seed >> 32)).astype(np.uint64)
        bits = ((words[:, 0] << np.uint64(32)) | words[:, 1]) >> np.uint64(11)
        return bits.astype(np.float64) * 2.0**-53

    def uniform(self, stage: Stage, step: int) -> float:
        """One number in [0, 1) for a stage that draws one token per step."""
        key = (self.seed & 0xFFFFFFFF, self.seed >> 32)
        high, low, _, _ = philox4x32_single((step, 0, int(stage), 0), key)
        return float((high << 32 | low) >> 11) * 2.0**-53


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares


def filter_logits(logits: NDArray[np.float64], sampling: SamplingParams) -> NDArray[np.float64]:
    """Set the logits [R, V] that `top_p`, then `top_k` exclude to -inf; the argmax always stays (docs/parity.md S33)."""
    kept = logits.copy()
    if sampling.top_p is not None and sampling.top_p < 1.0:
        order = np.argsort(-kept, axis=-1, kind="stable")
        cumulative = np.cumsum(_softmax(np.take_along_axis(kept, order, axis=-1)), axis=-1)
        excluded = np.zeros(kept.shape, dtype=bool)
        excluded[:, 1:] = cumulative[:, :-1] > sampling.top_p
        rows, ranks = np.nonzero(excluded)
        kept[rows, order[rows, ranks]] = -np.inf
    if sampling.top_k is not None and sampling.top_k < kept.shape[-1]:
        threshold = np.partition(kept, -sampling.top_k, axis=-1)[:, -sampling.top_k, None]
        kept[kept < threshold] = -np.inf
    return kept


def probabilities(logits: NDArray[np.floating], sampling: SamplingParams) -> NDArray[np.float64]:
    """Distribution [R, V] that a draw from `logits` [R, V] follows; greedy is all weight on the argmax.

    Raises CheckpointCorruptError for NaN.
    """
    exact = np.asarray(logits, dtype=np.float64)
    if np.isnan(exact).any():
        raise CheckpointCorruptError(
            "the model computed logits that are not numbers (NaN): its weights are damaged, or overflow "
            "in this precision; try dtype='float32', then another copy of the checkpoint"
        )
    if sampling.temperature == 0.0:
        one_hot = np.zeros_like(exact)
        one_hot[np.arange(len(exact)), exact.argmax(axis=-1)] = 1.0
        return one_hot
    filtered = filter_logits(exact, sampling)
    # The largest logit goes to 0 first: a tiny temperature then sends the others to -inf, never to NaN.
    with np.errstate(over="ignore"):
        scaled = (filtered - filtered.max(axis=-1, keepdims=True)) / sampling.temperature
    return _softmax(scaled)


def draw(distribution: NDArray[np.float64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
    """Invert the cumulative distribution: one token for each row of [R, V], given [R] numbers in [0, 1)."""
    cumulative = np.cumsum(distribution, axis=-1)
    targets = uniforms * cumulative[:, -1]
    tokens = np.empty(len(distribution), dtype=np.int64)
    for row, target in enumerate(targets):
        tokens[row] = np.searchsorted(cumulative[row], target, side="right")
    last_possible = distribution.shape[-1] - 1 - (distribution[:, ::-1] > 0).argmax(axis=-1)
    drawn: NDArray[np.int64] = np.minimum(tokens, last_possible)
    return drawn
