"""One request, or one of its stages, at once on the calling thread: the row of the engine, alone.

The stages are `openbark.engine.rows`. Knows no text and no files.
"""

from __future__ import annotations

import sys
from typing import TypeVar

from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.engine.low_latency import request_steps
from openbark.engine.request import CascadeResult, Request, Tokens, Waveform
from openbark.engine.rows import (
    Steps,
    coarse_steps,
    codec_steps,
    fine_steps,
    semantic_steps,
)
from openbark.engine.runner import Row, Runner
from openbark.errors import CancelledError
from openbark.stages.semantic import StopReason

__all__ = ["run", "run_coarse", "run_codec", "run_fine", "run_semantic"]

_Result = TypeVar("_Result")

_STEPS_PER_REPORT = 8
"""Draws between two looks at a request that reports progress but asks nobody whether to stop."""


def run(backend: Backend, request: Request) -> CascadeResult:
    """Run a request to its end.

    Raises TextError when the text does not fit or the model ends before it begins, CancelledError when
    `request.cancel` says so.
    """
    return _finish(backend, request, request_steps(request, backend.config))


def run_semantic(
    backend: Backend, request: Request, said: Tokens | None = None
) -> tuple[Tokens, StopReason]:
    """Text tokens and voice to semantic tokens [T], and why they end there (docs/parity.md S30-S35). `said`: semantic tokens
    that were spoken before, for a request without a voice."""
    return _finish(backend, request, semantic_steps(request, backend.config, said))


def run_coarse(
    backend: Backend, request: Request, semantic: Tokens, config: BarkConfig | None = None
) -> Tokens:
    """Semantic tokens [T] and voice to coarse codes [k, F] (S36-S37). `config`: the backend's with other
    windows."""
    return _finish(backend, request, coarse_steps(request, config or backend.config, semantic))


def run_fine(backend: Backend, request: Request, coarse: Tokens) -> Tokens:
    """Coarse codes [k, F] and voice to fine codes [K, F] (S38)."""
    return _finish(backend, request, fine_steps(request, backend.config, coarse))


def run_codec(backend: Backend, request: Request, fine: Tokens) -> Waveform:
    """Fine codes [K, F] to a waveform [L]."""
    return _finish(backend, request, codec_steps(request, backend.config, fine))


def _finish(backend: Backend, request: Request, steps: Steps[_Result]) -> _Result:
    runner, row = Runner(backend), Row(request, steps)
    n_steps = sys.maxsize
    if request.progress is not None:
        n_steps = _STEPS_PER_REPORT
    if row.watched:
        n_steps = 1
    while row.work is not None:
        if row.stopped:
            raise CancelledError("the request was cancelled")
        row.take(runner.run(row, n_steps))
    result: _Result = row.result
    return result
