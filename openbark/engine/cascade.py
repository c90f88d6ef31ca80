"""One request through the four stages of a backend: cached, unbatched, with a way out at every step.

The rules are `openbark.stages`, the numbers the backend's; this file only drives one with the other. Equal
to the uncached loop of `openbark.stages.reference`, token for token. Knows no text and no files.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.engine.draws import draw_fine, drawing_session
from openbark.errors import CancelledError, ParamError, TextError
from openbark.params import GenerationParams, SamplingParams
from openbark.stages.coarse import (
    coarse_codes,
    coarse_context,
    coarse_window_prompt,
    n_coarse_steps,
)
from openbark.stages.fine import fine_canvas, fine_windows
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import StopReason, semantic_prompt, token_limit
from openbark.voices.voice import Voice

__all__ = [
    "STAGES",
    "Cancel",
    "CascadeResult",
    "Progress",
    "Request",
    "Tokens",
    "Waveform",
    "run",
    "run_coarse",
    "run_codec",
    "run_fine",
    "run_semantic",
]

Tokens = NDArray[np.int64]
"""Token ids [T] or codes [K, F]."""

Waveform = NDArray[np.float32]
"""Mono samples [L]."""

Cancel = Callable[[], bool] | threading.Event
"""Says whether to stop; asked before every step."""

Progress = Callable[[str, float, float | None], None]
"""Told (stage, seconds of audio done in it, seconds in all); None where the end is not known yet."""

STAGES = ("semantic", "coarse", "fine", "codec")
"""Names of the stages in order, as progress and timings give them."""


@dataclass(frozen=True, eq=False)
class Request:
    """One request: what to say, how, and who may stop it.

    text_tokens: tokenizer ids [N], without offset. params: resolved, all three stages set.
    voice: validated against the model, or None.
    """

    text_tokens: Tokens
    params: GenerationParams
    seed: int
    voice: Voice | None = None
    cancel: Cancel | None = None
    progress: Progress | None = None


@dataclass(frozen=True, eq=False)
class CascadeResult:
    """Tokens of every stage, the waveform, and how it went.

    semantic: [T]; coarse: codes [k, F]; fine: codes [K, F]; waveform: [L] at the codec's rate.
    timings: wall seconds of each of STAGES. text_tokens: how many the request had.
    """

    semantic: Tokens
    coarse: Tokens
    fine: Tokens
    waveform: Waveform
    stop_reason: StopReason
    timings: Mapping[str, float] = field(default_factory=dict)
    n_text_tokens: int = 0


def run(backend: Backend, request: Request) -> CascadeResult:
    """Run a request to its end.

    Raises TextError when the text does not fit or the model ends before it begins, CancelledError when
    `request.cancel` says so.
    """
    noise = Noise(request.seed)
    timings: dict[str, float] = {}
    clock = time.perf_counter()

    def finish(stage: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        timings[stage] = now - clock
        clock = now

    semantic, stop_reason = run_semantic(backend, request, noise)
    if n_coarse_steps(len(semantic), backend.config) == 0:
        raise TextError(
            f"the model ended before it said anything (seed {request.seed}); try another seed, "
            "or a longer text"
        )
    finish("semantic")
    coarse = run_coarse(backend, request, semantic, noise)
    finish("coarse")
    fine = run_fine(backend, request, coarse, noise)
    finish("fine")
    waveform = run_codec(backend, request, fine)
    finish("codec")
    return CascadeResult(
        semantic=semantic,
        coarse=coarse,
        fine=fine,
        waveform=waveform,
        stop_reason=stop_reason,
        timings=MappingProxyType(timings),
        n_text_tokens=len(request.text_tokens),
    )


def run_semantic(backend: Backend, request: Request, noise: Noise) -> tuple[Tokens, StopReason]:
    """Text tokens and voice to semantic tokens [T], and why they end there (S30-S35)."""
    rules = backend.config.semantic_rules
    params = request.params
    sampling = _sampling(params.semantic)
    history = request.voice.semantic if request.voice else None
    prompt = semantic_prompt(request.text_tokens, history, rules)
    limit = token_limit(params, rules)
    session = drawing_session(backend, Stage.SEMANTIC)
    drawn = np.zeros(0, dtype=np.int64)
    _check_cancel(request)
    session.read(prompt)
    while True:
        n_steps = min(_steps_per_look(request), limit.n_tokens - len(drawn))
        tokens, reason = session.draw_run(
            sampling, noise, len(drawn), n_steps, params.allow_early_stop
        )
        drawn = np.concatenate([drawn, tokens])
        if reason is not None:
            return drawn, reason
        _report(request, "semantic", len(drawn) / rules.rate_hz, None)
        if len(drawn) >= limit.n_tokens:
            return drawn, limit.reason
        _check_cancel(request)


def run_coarse(backend: Backend, request: Request, semantic: Tokens, noise: Noise) -> Tokens:
    """Semantic tokens [T] and voice to coarse codes [k, F] (S36-S37): the cache starts anew in each window."""
    config = backend.config
    rules = config.coarse_rules
    sampling = _sampling(request.params.coarse)
    voice = request.voice
    context = coarse_context(
        semantic, voice.semantic if voice else None, voice.coarse if voice else None, config
    )
    n_steps = n_coarse_steps(len(semantic), config)
    seconds = _seconds(n_steps // rules.n_codebooks, config)
    session = drawing_session(backend, Stage.COARSE)
    drawn = np.zeros(0, dtype=np.int64)
    while len(drawn) < n_steps:
        stop = min(len(drawn) + rules.sliding_window, n_steps)
        _check_cancel(request)
        session.read(coarse_window_prompt(context, drawn, config))
        while True:
            n_run = min(_steps_per_look(request), stop - len(drawn))
            tokens, _ = session.draw_run(sampling, noise, len(drawn), n_run)
            drawn = np.concatenate([drawn, tokens])
            _report(request, "coarse", _seconds(len(drawn) // rules.n_codebooks, config), seconds)
            if len(drawn) == stop:
                break
            _check_cancel(request)
    return coarse_codes(drawn, config)


def run_fine(backend: Backend, request: Request, coarse: Tokens, noise: Noise) -> Tokens:
    """Coarse codes [k, F] and voice to fine codes [K, F] (S38)."""
    config = backend.config
    sampling = _sampling(request.params.fine)
    canvas = fine_canvas(coarse, request.voice.fine if request.voice else None, config)
    seconds = _seconds(canvas.n_frames, config)
    for window in fine_windows(canvas, config):
        for k in range(len(coarse), config.fine_rules.n_codebooks):
            _check_cancel(request)
            canvas.codes[k, window.fill : window.stop] = draw_fine(
                backend,
                canvas.codes[:, window.start : window.stop],
                k,
                window.fill - window.start,
                window.fill,
                sampling,
                noise,
            )
        filled = min(window.stop - canvas.n_history, canvas.n_frames)
        _report(request, "fine", _seconds(filled, config), seconds)
    return canvas.result()


def run_codec(backend: Backend, request: Request, fine: Tokens) -> Waveform:
    """Fine codes [K, F] to a waveform [L]."""
    _check_cancel(request)
    waveform = backend.codec_decode(fine)
    seconds = _seconds(fine.shape[1], backend.config)
    _report(request, "codec", seconds, seconds)
    return waveform


def _seconds(n_frames: int, config: BarkConfig) -> float:
    return n_frames / config.coarse_rules.rate_hz


def _sampling(sampling: SamplingParams | None) -> SamplingParams:
    if sampling is None:
        raise ParamError(
            "params leave a stage open; fill them with params.resolve(checkpoint.defaults) first"
        )
    return sampling


def _steps_per_look(request: Request) -> int:
    """Steps to draw at once: one when somebody watches, as many as there are when nobody does."""
    watched = request.cancel is not None or request.progress is not None
    return 1 if watched else sys.maxsize


def _check_cancel(request: Request) -> None:
    cancel = request.cancel
    if cancel is None:
        return
    if cancel.is_set() if isinstance(cancel, threading.Event) else cancel():
        raise CancelledError("the request was cancelled")


def _report(request: Request, stage: str, done: float, total: float | None) -> None:
    if request.progress is not None:
        request.progress(stage, done, total)
