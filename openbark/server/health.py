"""Whether the server lives, whether it can speak, and its metrics (R4, R5, R14)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from openbark.server.guard import DrainState
from openbark.server.metrics import CONTENT_TYPE, Metrics
from openbark.server.speaker import Block, Speaker, Utterance

__all__ = ["Readiness", "health_router", "warm_up"]

_WARM_UP_TEXT = "Hello."
_MIN_SECONDS = 0.1
_MIN_PEAK = 1e-3


@dataclass
class Readiness:
    """Whether a clip was made and sounded like one. `fault` says what is wrong, None when nothing is."""

    ready: bool = False
    fault: str | None = "loading the model"

    def ok(self) -> None:
        """Ready from now on."""
        self.ready, self.fault = True, None

    def broken(self, fault: str) -> None:
        """Not ready any more, and why."""
        self.ready, self.fault = False, fault


async def warm_up(speaker: Speaker, readiness: Readiness) -> None:
    """Speak a word and judge it; readiness follows from it."""
    blocks: list[Block] = []
    speech = speaker.start(Utterance(_WARM_UP_TEXT, None, 0, speaker.default_params))
    try:
        async for block in speech:
            blocks.append(block)
    finally:
        await speech.aclose()
    waveform = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    fault = _fault(waveform, speaker.sample_rate)
    if fault is None:
        readiness.ok()
    else:
        readiness.broken(fault)


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
    unready: dict[int | str, dict[str, Any]] = {503: {"description": "not ready, and why"}}

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @router.get("/health", responses=unready)
    @router.get("/health/ready", responses=unready)
    async def ready() -> JSONResponse:
        """The model is loaded, has spoken, and the server is not leaving."""
        if drain.leaving:
            return JSONResponse({"status": "leaving"}, status_code=503)
        if not readiness.ready:
            return JSONResponse({"status": "unready", "reason": readiness.fault}, status_code=503)
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", response_class=Response)
    async def prometheus() -> Response:
        """Prometheus' text format."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return router
