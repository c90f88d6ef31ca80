"""The transformers in plain numpy, float32, one layer's weights in memory at a time: slow, and short enough to be
checked by reading. The compiled engine holds its rounded weights against it without loading exact ones besides.

Pre-norm blocks, exact-erf GELU, learned positions, LayerNorm epsilon 1e-5 (docs/parity.md S21, S22). A `RowSource` of
`openbark.backends.agreement`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Tokens
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.layouts.shapes import COARSE_PREFIX, FINE_PREFIX, SEMANTIC_PREFIX
from openbark.config import GPTConfig
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

__all__ = ["PlainNetworks"]

_Array = NDArray[np.float32]
_Weights = Mapping[str, _Array]

_EPSILON = np.float32(1e-5)
# Abramowitz and Stegun 7.1.26: erf within 1.5e-7.
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_P = 0.3275911


class PlainNetworks:
    """The three transformers of a checkpoint, read from it at every call."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def causal_rows(self, stage: Stage, prompt: Prompt, tokens: Tokens) -> NDArray[np.float64]:
        """Logits [N + 1, V] after the prompt and after each of the tokens [N]."""
        config = self._checkpoint.config
        semantic = stage is Stage.SEMANTIC
        weights = self._checkpoint.part(SEMANTIC_PREFIX if semantic else COARSE_PREFIX)
        ids = np.concatenate([prompt.ids, tokens])
        table = weights["input_embeds_layer.weight"]
        x = table[ids]
        if prompt.summed is not None:
            x[: len(prompt.summed)] += table[prompt.summed]
        x = _blocks(x, weights, config.semantic if semantic else config.coarse, causal=True)
        return _logits(x[len(prompt.ids) - 1 :], weights, weights["lm_head.weight"])

    def fine_rows(self, codes: Tokens, k: int) -> NDArray[np.float64]:
        """Logits [F, V] of codebook k for codes [K, F]."""
        config = self._checkpoint.config.fine
        weights = self._checkpoint.part(FINE_PREFIX)
        tables = [f"input_embeds_layers.{level}.weight" for level in range(config.n_codes_total)]
        x = np.zeros((codes.shape[1], config.n_embd), dtype=np.float32)
        for level in range(k + 1):
            x += weights[tables[level]][codes[level]]
        x = _blocks(x, weights, config, causal=False)
        return _logits(x, weights, weights[tables[k - config.n_codes_given + 1]])


def _blocks(x: _Array, weights: _Weights, config: GPTConfig, causal: bool) -> _Array:
    x = x + weights["position_embeds_layer.weight"][: len(x)]
    for i in range(config.n_layer):
        name = f"layers.{i}."
        fused = _linear(_norm(x, weights, f"{name}layernorm_1"), weights, f"{name}attn.att_proj")
        mixed = _attention(fused, config.n_head, causal)
        x = x + _linear(mixed, weights, f"{name}attn.out_proj")
        wide = _linear(_norm(x, weights, f"{name}layernorm_2"), weights, f"{name}mlp.in_proj")
        x = x + _linear(_gelu(wide), weights, f"{name}mlp.out_proj")
    return x


def _attention(fused: _Array, n_head: int, causal: bool) -> _Array:
    n, width = len(fused), fused.shape[1] // 3
    query, key, value = fused.reshape(n, 3, n_head, width // n_head).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) * np.float32((width // n_head) ** -0.5)
    if causal:
        scores[:, ~np.tri(n, dtype=bool)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (weights / weights.sum(axis=-1, keepdims=True)) @ value
    return np.ascontiguousarray(mixed.transpose(1, 0, 2).reshape(n, width))


def _linear(x: _Array, weights: _Weights, name: str) -> _Array:
    y: _Array = x @ weights[f"{name}.weight"].T
    bias = f"{name}.bias"
    return y + weights[bias] if bias in weights else y


def _norm(x: _Array, weights: _Weights, name: str) -> _Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + _EPSILON)
    y: _Array = scaled * weights[f"{name}.weight"]
    bias = f"{name}.bias"
    return y + weights[bias] if bias in weights else y


def _gelu(x: _Array) -> _Array:
    z = np.abs(x) * np.float32(1 / math.sqrt(2))
    t = 1 / (1 + np.float32(_ERF_P) * z)
    series = np.zeros_like(t)
    for factor in reversed(_ERF):
        series = (series + np.float32(factor)) * t
    erf = np.copysign(1 - series * np.exp(-z * z), x)
    y: _Array = x * (1 + erf) * np.float32(0.5)
    return y


def _logits(x: _Array, weights: _Weights, head: _Array) -> NDArray[np.float64]:
    rows: _Array = _norm(x, weights, "layernorm_final") @ head.T
    return rows.astype(np.float64)
