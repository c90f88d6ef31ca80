"""One request through the stages as a coroutine: it says what it wants done next and takes the result.

The rules are `openbark.stages`; who does the work, when, and beside which other rows is not known here. A row
alone and a row in a batch are this same code. Equal to the uncached loop of `openbark.stages.reference`,
token for token.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import numpy as np

from openbark.config import BarkConfig
from openbark.engine.request import STAGES, CascadeResult, Request, Tokens, Waveform
from openbark.engine.work import Decode, Draw, FinePass, Read, Work
from openbark.errors import ParamError, TextError
from openbark.params import SamplingParams
from openbark.stages.coarse import (
    coarse_codes,
    coarse_context,
    coarse_window_prompt,
    n_coarse_steps,
)
from openbark.stages.fine import fine_canvas, fine_windows
from openbark.stages.sampling import Stage
from openbark.stages.semantic import StopReason, semantic_prompt, token_limit

__all__ = [
    "Steps",
    "cascade_steps",
    "coarse_steps",
    "codec_steps",
    "fine_steps",
    "report",
    "seconds_of",
    "semantic_steps",
    "set_sampling",
]

_Result = TypeVar("_Result")

Steps = Generator[Work, Any, _Result]
"""Yields work, is sent what the work gives, returns its result."""


def semantic_steps(
    request: Request, config: BarkConfig, said: Tokens | None = None
) -> Steps[tuple[Tokens, StopReason]]:
    """Text tokens and voice to semantic tokens [T], and why they end there (S30-S35). `said` takes the place
    of a voice's semantic tokens where there is no voice."""
    rules, params = config.semantic_rules, request.params
    sampling = set_sampling(params.semantic)
    history = request.voice.semantic if request.voice else said
    limit = token_limit(params, rules)
    yield Read(Stage.SEMANTIC, semantic_prompt(request.text_tokens, history, rules))
    drawn = np.zeros(0, dtype=np.int64)
    while len(drawn) < limit.n_tokens:
        tokens, reason = yield Draw(
            Stage.SEMANTIC,
            sampling,
            len(drawn),
            limit.n_tokens - len(drawn),
            params.allow_early_stop,
        )
        drawn = np.concatenate([drawn, tokens])
        if reason is not None:
            return drawn, reason
        report(request, "semantic", len(drawn) / rules.rate_hz, None)
    return drawn, limit.reason


def coarse_steps(request: Request, config: BarkConfig, semantic: Tokens) -> Steps[Tokens]:
    """Semantic tokens [T] and voice to coarse codes [k, F] (S36-S37): the cache starts anew in each window."""
    rules, voice = config.coarse_rules, request.voice
    sampling = set_sampling(request.params.coarse)
    context = coarse_context(
        semantic, voice.semantic if voice else None, voice.coarse if voice else None, config
    )
    n_steps = n_coarse_steps(len(semantic), config)
    seconds = seconds_of(n_steps // rules.n_codebooks, config)
    drawn = np.zeros(0, dtype=np.int64)
    while len(drawn) < n_steps:
        stop = min(len(drawn) + rules.sliding_window, n_steps)
        yield Read(Stage.COARSE, coarse_window_prompt(context, drawn, config))
        while len(drawn) < stop:
            tokens, _ = yield Draw(Stage.COARSE, sampling, len(drawn), stop - len(drawn))
            drawn = np.concatenate([drawn, tokens])
            report(request, "coarse", seconds_of(len(drawn) // rules.n_codebooks, config), seconds)
    return coarse_codes(drawn, config)


def fine_steps(request: Request, config: BarkConfig, coarse: Tokens) -> Steps[Tokens]:
    """Coarse codes [k, F] and voice to fine codes [K, F] (S38); any k from 1 to K - 1 (S12)."""
    sampling = set_sampling(request.params.fine)
    canvas = fine_canvas(coarse, request.voice.fine if request.voice else None, config)
    seconds = seconds_of(canvas.n_frames, config)
    for window in fine_windows(canvas, config):
        for k in range(len(coarse), config.fine_rules.n_codebooks):
            canvas.codes[k, window.fill : window.stop] = yield FinePass(
                canvas.codes[:, window.start : window.stop],
                k,
                window.fill - window.start,
                window.fill,
                sampling,
            )
        filled = min(window.stop - canvas.n_history, canvas.n_frames)
        report(request, "fine", seconds_of(filled, config), seconds)
    return canvas.result()


def codec_steps(request: Request, config: BarkConfig, fine: Tokens) -> Steps[Waveform]:
    """Fine codes [K, F] to a waveform [L]."""
    waveform: Waveform = yield Decode(fine)
    seconds = seconds_of(fine.shape[1], config)
    report(request, "codec", seconds, seconds)
    return waveform


def cascade_steps(request: Request, config: BarkConfig) -> Steps[CascadeResult]:
    """A request to its end. Raises TextError when the text does not fit or the model ends before it begins,
    ParamError for params that leave a stage open."""
    clock = [time.perf_counter()]
    semantic, stop_reason = yield from semantic_steps(request, config)
    if n_coarse_steps(len(semantic), config) == 0:
        raise TextError(
            f"the model ended before it said anything (seed {request.seed}); try another seed, "
            "or a longer text"
        )
    clock.append(time.perf_counter())
    coarse = yield from coarse_steps(request, config, semantic)
    clock.append(time.perf_counter())
    fine = yield from fine_steps(request, config, coarse)
    clock.append(time.perf_counter())
    waveform = yield from codec_steps(request, config, fine)
    clock.append(time.perf_counter())
    spent = np.diff(clock).tolist()
    return CascadeResult(
        semantic=semantic,
        coarse=coarse,
        fine=fine,
        waveform=waveform,
        stop_reason=stop_reason,
        timings=dict(zip(STAGES, spent, strict=True)),
        n_text_tokens=len(request.text_tokens),
    )


def seconds_of(n_frames: int, config: BarkConfig) -> float:
    """Audio seconds of codec frames."""
    return n_frames / config.coarse_rules.rate_hz


def set_sampling(sampling: SamplingParams | None) -> SamplingParams:
    """The sampling of a stage. Raises ParamError where it is open."""
    if sampling is None:
        raise ParamError(
            "params leave a stage open; fill them with params.resolve(checkpoint.defaults) first"
        )
    return sampling


def report(request: Request, stage: str, done: float, total: float | None) -> None:
    """Tell whoever watches the request: seconds done in a stage, of `total` where that is known."""
    if request.progress is not None:
        request.progress(stage, done, total)
