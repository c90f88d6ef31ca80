"""The plain loop: one request, no cache, no batch, every forward pass over the whole prompt.

The slow twin that every fast path is tested against, token for token. It drives a `Network`, the smallest
thing that can compute logits; it knows nothing of torch, caches or threads.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from openbark.config import BarkConfig
from openbark.params import GenerationParams, SamplingParams
from openbark.stages.coarse import (
    choose_coarse,
    coarse_codes,
    coarse_context,
    coarse_window_prompt,
    n_coarse_steps,
)
from openbark.stages.fine import choose_fine, fine_canvas, fine_windows
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import (
    Prompt,
    StopReason,
    choose_semantic,
    semantic_prompt,
    token_limit,
)
from openbark.types import Logits, Tokens


class Network(Protocol):
    """Logits without memory: each call sees everything it depends on."""

    @property
    def config(self) -> BarkConfig:
        """Sizes and rules of the checkpoint."""
        ...

    def causal_logits(self, stage: Stage, prompt: Prompt) -> Logits:
        """Logits [V] after the last position of the prompt (semantic or coarse stage)."""
        ...

    def fine_logits(self, codes: Tokens, k: int) -> Logits:
        """Logits [N, V] of codebook k for a window of codes [K, N]."""
        ...


def _extended(prompt: Prompt, drawn: list[int]) -> Prompt:
    return Prompt(np.concatenate([prompt.ids, np.array(drawn, dtype=np.int64)]), prompt.summed)


def reference_semantic(
    network: Network,
    text_tokens: Tokens,
    history: Tokens | None,
    params: GenerationParams,
    noise: Noise,
) -> tuple[Tokens, StopReason]:
    """Text tokens [N] -> semantic tokens [T] and why they end there (docs/parity.md S30-S35)."""
    rules = network.config.semantic_rules
    sampling = _required(params.semantic)
    prompt = semantic_prompt(text_tokens, history, rules)
    limit = token_limit(params, rules)
    drawn: list[int] = []
    while len(drawn) < limit.n_tokens:
        logits = network.causal_logits(Stage.SEMANTIC, _extended(prompt, drawn))
        uniform = noise.uniform(Stage.SEMANTIC, len(drawn))
        choice = choose_semantic(logits, sampling, params.allow_early_stop, uniform, rules)
        if isinstance(choice, StopReason):
            return np.array(drawn, dtype=np.int64), choice
        drawn.append(choice)
    return np.array(drawn, dtype=np.int64), limit.reason


def reference_coarse(
    network: Network,
    semantic: Tokens,
    voice_semantic: Tokens | None,
    voice_coarse: Tokens | None,
    params: GenerationParams,
    noise: Noise,
) -> Tokens:
    """Semantic tokens [T] -> coarse codes [K, F] (S36-S37)."""
    config = network.config
    sampling = _required(params.coarse)
    context = coarse_context(semantic, voice_semantic, voice_coarse, config)
    n_steps = n_coarse_steps(len(semantic), config)
    drawn: list[int] = []
    while len(drawn) < n_steps:
        window: list[int] = []
        prompt = coarse_window_prompt(context, np.array(drawn, dtype=np.int64), config)
        while len(window) < config.coarse_rules.sliding_window and len(drawn) < n_steps:
            logits = network.causal_logits(Stage.COARSE, _extended(prompt, window))
            uniform = noise.uniform(Stage.COARSE, len(drawn))
            token = choose_coarse(logits, len(drawn), sampling, uniform, config)
            window.append(token)
            drawn.append(token)
    return coarse_codes(np.array(drawn, dtype=np.int64), config)


def reference_fine(
    network: Network,
    coarse: Tokens,
    voice_fine: Tokens | None,
    params: GenerationParams,
    noise: Noise,
) -> Tokens:
    """Coarse codes [k, F] -> fine codes [K, F] (S38)."""
    config = network.config
    sampling = _required(params.fine)
    canvas = fine_canvas(coarse, voice_fine, config)
    for window in fine_windows(canvas, config):
        for k in range(coarse.shape[0], config.fine_rules.n_codebooks):
            logits = network.fine_logits(canvas.codes[:, window.start : window.stop], k)
            relevant = logits[window.fill - window.start :]
            canvas.codes[k, window.fill : window.stop] = choose_fine(
                relevant, k, window.fill, sampling, noise, config
            )
    return canvas.result()


def _required(sampling: SamplingParams | None) -> SamplingParams:
    if sampling is None:
        raise TypeError("params must be resolved against the checkpoint's defaults first")
    return sampling
