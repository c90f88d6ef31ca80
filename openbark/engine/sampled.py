"""The stages with a sampler of the caller's: for draws that must come from somewhere else than our noise.

Same rules and same order of steps as `openbark.engine.cascade`, one row, one draw at a time. Knows neither
what the sampler draws from nor whose names are on the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.params import SamplingParams
from openbark.stages.coarse import (
    coarse_codes,
    coarse_context,
    coarse_window_prompt,
    codebook_ids,
    n_coarse_steps,
)
from openbark.stages.fine import fine_canvas, fine_windows
from openbark.stages.sampling import Noise, Stage, draw, probabilities
from openbark.stages.semantic import (
    StopReason,
    TokenLimit,
    drawable_logits,
    early_stop,
    semantic_prompt,
)
from openbark.voices.voice import Voice

__all__ = [
    "Logits",
    "NoiseSampler",
    "Report",
    "Sampler",
    "Tokens",
    "sampled_coarse",
    "sampled_fine",
    "sampled_semantic",
]

Tokens = NDArray[np.int64]
Logits = NDArray[np.floating]

Report = Callable[[int, int], None]
"""Told (done, in all) after each token, or each window of the fine stage."""


class Sampler(Protocol):
    """Draws tokens from logits that hold nothing but what may be drawn."""

    def token(
        self, logits: Logits, sampling: SamplingParams, stage: Stage, step: int
    ) -> tuple[int, float]:
        """Draw number `step` of a causal stage from logits [V]: the index, and the probability of the last
        entry."""
        ...

    def frames(self, logits: Logits, sampling: SamplingParams, k: int, first_frame: int) -> Tokens:
        """One index for each row of logits [R, V]: codebook k of the canvas frames from `first_frame` on."""
        ...


@dataclass(frozen=True, slots=True)
class NoiseSampler:
    """OpenBark's own draws, as `openbark.engine.cascade` makes them."""

    noise: Noise

    def token(
        self, logits: Logits, sampling: SamplingParams, stage: Stage, step: int
    ) -> tuple[int, float]:
        """As `Sampler.token`."""
        distribution = probabilities(np.asarray(logits, dtype=np.float64)[None], sampling)
        uniform = np.array([self.noise.uniform(stage, step)])
        return int(draw(distribution, uniform)[0]), float(distribution[0, -1])

    def frames(self, logits: Logits, sampling: SamplingParams, k: int, first_frame: int) -> Tokens:
        """As `Sampler.frames`."""
        rows = np.arange(first_frame, first_frame + len(logits))
        distribution = probabilities(np.asarray(logits, dtype=np.float64), sampling)
        return draw(distribution, self.noise.uniforms(Stage.FINE, k, rows))


def sampled_semantic(
    backend: Backend,
    sampler: Sampler,
    text_tokens: Tokens,
    history: Tokens | None,
    sampling: SamplingParams,
    limit: TokenLimit,
    allow_early_stop: bool = True,
    report: Report | None = None,
) -> tuple[Tokens, StopReason]:
    """Text tokens [N] and semantic tokens spoken before [H] to semantic tokens [T], none of them the end
    token, and why they end (S30-S35)."""
    rules = backend.config.semantic_rules
    session = backend.session(Stage.SEMANTIC)
    logits = session.prefill(semantic_prompt(text_tokens, history, rules))
    drawn: list[int] = []
    while True:
        support = drawable_logits(logits, allow_early_stop, rules)
        token, p_last = sampler.token(support, sampling, Stage.SEMANTIC, len(drawn))
        reason = early_stop(token, p_last, sampling, rules) if allow_early_stop else None
        if reason is not None:
            return np.array(drawn, dtype=np.int64), reason
        drawn.append(token)
        if report is not None:
            report(len(drawn), limit.n_tokens)
        if len(drawn) >= limit.n_tokens:
            return np.array(drawn, dtype=np.int64), limit.reason
        logits = session.step(token)


def sampled_coarse(
    backend: Backend,
    sampler: Sampler,
    semantic: Tokens,
    voice: Voice | None,
    sampling: SamplingParams,
    config: BarkConfig,
    report: Report | None = None,
) -> Tokens:
    """Semantic tokens [T] to coarse codes [k, F] (S36-S37). `config` is the backend's, or one with other
    windows."""
    rules = config.coarse_rules
    context = coarse_context(
        semantic, voice.semantic if voice else None, voice.coarse if voice else None, config
    )
    n_steps = n_coarse_steps(len(semantic), config)
    session = backend.session(Stage.COARSE)
    drawn: list[int] = []
    while len(drawn) < n_steps:
        stop = min(len(drawn) + rules.sliding_window, n_steps)
        prompt = coarse_window_prompt(context, np.array(drawn, dtype=np.int64), config)
        logits = session.prefill(prompt)
        while True:
            ids = codebook_ids(len(drawn) % rules.n_codebooks, config)
            code, _ = sampler.token(logits[ids], sampling, Stage.COARSE, len(drawn))
            drawn.append(ids.start + code)
            if report is not None:
                report(len(drawn), n_steps)
            if len(drawn) == stop:
                break
            logits = session.step(drawn[-1])
    return coarse_codes(np.array(drawn, dtype=np.int64), config)


def sampled_fine(
    backend: Backend,
    sampler: Sampler,
    coarse: Tokens,
    voice: Voice | None,
    sampling: SamplingParams,
    report: Report | None = None,
) -> Tokens:
    """Coarse codes [k, F] to fine codes [K, F] (S38); any k from 1 to K - 1 (S12)."""
    config = backend.config
    canvas = fine_canvas(coarse, voice.fine if voice else None, config)
    windows = fine_windows(canvas, config)
    for done, window in enumerate(windows, start=1):
        for k in range(len(coarse), config.fine_rules.n_codebooks):
            logits = backend.fine_logits(canvas.codes[:, window.start : window.stop], k)
            support = logits[window.fill - window.start :, : config.codebook_size]
            canvas.codes[k, window.fill : window.stop] = sampler.frames(
                support, sampling, k, window.fill
            )
        if report is not None:
            report(done, len(windows))
    return canvas.result()
