"""Single stages of a request, run at once on the calling thread. Knows no text and no files."""

from __future__ import annotations

import sys
from typing import TypeVar

from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.engine.request import CascadeResult, Request
from openbark.engine.runner import Runner, Sequence
from openbark.engine.stages import (
    CoarseStage,
    FineStage,
    SemanticStage,
    Steps,
    codec_steps,
    request_steps,
)
from openbark.errors import CancelledError
from openbark.stages.semantic import StopReason
from openbark.types import Tokens, Waveform

__all__ = ["run", "run_coarse", "run_codec", "run_fine", "run_semantic"]

_Result = TypeVar("_Result")

_STEPS_PER_REPORT = 8
"""Tokens between two calls of `progress`, for a request without a `cancel` to ask at every token."""


def run(backend: Backend, request: Request) -> CascadeResult:
    """Run a request to its end.

    Raises TextError when the text does not fit or the model ends before it makes a sound, CancelledError when
    `request.cancel` asks for it.
    """
    return _run_to_end(backend, request, request_steps(request, backend.config))


def run_semantic(
    backend: Backend, request: Request, history: Tokens | None = None
) -> tuple[Tokens, StopReason]:
    """Text tokens and voice to semantic tokens [T], and why they end there. `history`: semantic tokens to continue,
    for a request without a voice."""
    return _run_to_end(backend, request, _semantic(request, backend.config, history))


def run_coarse(
    backend: Backend, request: Request, semantic: Tokens, config: BarkConfig | None = None
) -> Tokens:
    """Semantic tokens [T] and voice to coarse codes [k, F]. `config`: the backend's with other windows."""
    return _run_to_end(backend, request, _coarse(request, config or backend.config, semantic))


def run_fine(backend: Backend, request: Request, coarse: Tokens) -> Tokens:
    """Coarse codes [k, F] and voice to fine codes [K, F]."""
    return _run_to_end(backend, request, _fine(request, backend.config, coarse))


def run_codec(backend: Backend, request: Request, fine: Tokens) -> Waveform:
    """Fine codes [K, F] to a waveform [L]."""
    return _run_to_end(backend, request, codec_steps(request, backend.config, fine))


def _semantic(
    request: Request, config: BarkConfig, history: Tokens | None
) -> Steps[tuple[Tokens, StopReason]]:
    stage = SemanticStage(request, config, history)
    yield from stage.begin()
    yield from stage.until()
    return stage.tokens, stage.reason or StopReason.MAX_TOKENS


def _coarse(request: Request, config: BarkConfig, semantic: Tokens) -> Steps[Tokens]:
    stage = CoarseStage(request, config, SemanticStage.finished(request, config, semantic))
    yield from stage.until()
    return stage.codes


def _fine(request: Request, config: BarkConfig, coarse: Tokens) -> Steps[Tokens]:
    stage = FineStage(request, config)
    yield from stage.whole(coarse)
    return stage.codes


def _run_to_end(backend: Backend, request: Request, steps: Steps[_Result]) -> _Result:
    runner, sequence = Runner(backend), Sequence(request, steps)
    n_steps = sys.maxsize
    if request.progress is not None:
        n_steps = _STEPS_PER_REPORT
    if sequence.checks_every_step:
        n_steps = 1
    while sequence.work is not None:
        if sequence.stopped:
            raise CancelledError("the request was cancelled")
        sequence.advance(runner.run(sequence, n_steps))
    result: _Result = sequence.result
    return result
