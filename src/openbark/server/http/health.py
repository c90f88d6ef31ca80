"""Whether the process answers, whether it can speak, and its metrics."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from openbark.server.errors import ApiError, not_ready, shutting_down
from openbark.server.http.middlewares import DrainState
from openbark.server.speakers.base import Block, Speaker
from openbark.server.speakers.watched import Fault, WatchedSpeaker, trial_utterance
from openbark.server.speech.metrics import CONTENT_TYPE, Metrics
from openbark.server.speech.protocol import ErrorResponse

_log = logging.getLogger("openbark.server")

_MIN_SECONDS = 0.1
_MIN_PEAK = 1e-3
_LOOKS = 20
_MOST_SECONDS = 1.0
_LOOKS_PER_TRY = 5


@dataclass
class Readiness:
    """Whether a clip was made and sounded like one. `fault` says what is wrong, None when nothing is; loading: no
    clip was judged yet."""

    ready: bool = False
    fault: str | None = "loading the model"
    loading: bool = True

    def ok(self) -> None:
        """Ready from now on."""
        self.ready, self.fault, self.loading = True, None, False

    def broken(self, fault: str) -> None:
        """Not ready any more, and why."""
        self.ready, self.fault, self.loading = False, fault, False


async def warm_up(speaker: Speaker, readiness: Readiness) -> None:
    """Speak a word and judge it; readiness follows from it. Raises what the speaker raises."""
    blocks: list[Block] = []
    speech = speaker.start(trial_utterance(speaker.facts.default_params))
    try:
        async for block in speech:
            blocks.append(block)
    finally:
        await speech.aclose()
    waveform = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    fault = _fault(waveform, speaker.facts.sample_rate)
    if fault is None:
        readiness.ok()
    else:
        readiness.broken(fault)


def tell_fault(readiness: Readiness, metrics: Metrics, fault: Fault) -> None:
    """A fault makes the server not ready, is counted, and is one line in the log."""
    readiness.broken(fault.message)
    metrics.faults.labels(fault.kind).inc()
    _log.error("not ready: %s", fault.message)


async def keep_watch(speaker: WatchedSpeaker, readiness: Readiness, stuck_seconds: float) -> None:
    """Look at the speaker for ever; while it is not ready and moves, try whether it speaks again."""
    period = min(_MOST_SECONDS, stuck_seconds / _LOOKS)
    looks = 0
    while True:
        await asyncio.sleep(period)
        fault = speaker.check_progress()
        looks += 1
        stuck = fault is not None and fault.kind == "stuck"
        if not (readiness.ready or readiness.loading or stuck or looks % _LOOKS_PER_TRY):
            await _try_again(speaker, readiness, stuck_seconds)


async def _try_again(speaker: WatchedSpeaker, readiness: Readiness, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await warm_up(speaker, readiness)
    except Exception as error:
        # The fault was logged when it was found; it is tried every few seconds.
        _log.debug("the trial clip failed", exc_info=error)
        return
    if readiness.ready:
        speaker.reset()
        _log.info("ready again")


def _fault(waveform: Block, sample_rate: int) -> str | None:
    peak = float(np.max(np.abs(waveform))) if len(waveform) else 0.0
    if not math.isfinite(peak):
        return "the warm-up clip holds values that are no numbers"
    if len(waveform) < _MIN_SECONDS * sample_rate or peak < _MIN_PEAK:
        return "the warm-up clip is empty or silent"
    return None


def health_router(readiness: Readiness, drain: DrainState, metrics: Metrics) -> APIRouter:
    """The routes; none of them touches the model."""
    router = APIRouter()
    unready: dict[int | str, dict[str, Any]] = {
        503: {"description": "not ready, and why", "model": ErrorResponse}
    }

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @router.get("/health", responses=unready)
    @router.get("/health/ready", responses=unready)
    async def ready() -> JSONResponse:
        """The model is loaded, has spoken, and the server is not leaving."""
        if drain.leaving:
            return _answer(shutting_down(drain.retry_after))
        if not readiness.ready:
            return _answer(not_ready(readiness.fault or "no clip was made yet"))
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", response_class=Response)
    async def prometheus() -> Response:
        """Prometheus' text format."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return router


def _answer(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)
