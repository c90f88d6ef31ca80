"""An engine that speaks at once and out of order: a tone as long as its request asks for.

Stands in for `openbark.engine.Engine` where only the driving of pieces is tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from openbark.config import BarkConfig
from openbark.engine.request import CascadeResult, Request
from openbark.errors import BusyError, CancelledError
from openbark.stages.semantic import StopReason

__all__ = ["SAMPLE_RATE", "ToneBackend", "ToneEngine", "ToneHandle", "tone"]

SAMPLE_RATE = 24_000
_HERTZ = 200.0

Speak = Callable[[Request], CascadeResult]


def tone(seconds: float, silence: float = 0.2, amplitude: float = 0.5) -> np.ndarray:
    """A tone between two stretches of silence, float32 [L]."""
    turn = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    quiet = np.zeros(round(silence * SAMPLE_RATE))
    sound = amplitude * np.sin(2 * np.pi * _HERTZ * turn)
    return np.concatenate([quiet, sound, quiet]).astype(np.float32)


def spoken(request: Request) -> CascadeResult:
    """Two seconds of tone; the tokens tell which request made them."""
    n_semantic, n_frames = 100, 150
    first = request.seed % 50
    return CascadeResult(
        semantic=np.full(n_semantic, first),
        coarse=np.full((2, n_frames), first % 32),
        fine=np.full((8, n_frames), first % 32),
        waveform=tone(1.6),
        stop_reason=StopReason.EOS,
        timings={"semantic": 0.5, "codec": 0.25},
        n_text_tokens=len(request.text_tokens),
    )


class ToneHandle:
    """A request that is done when the engine gets to it."""

    def __init__(self, engine: ToneEngine, request: Request) -> None:
        self.engine = engine
        self.request = request
        self.cancelled = False
        self.outcome: CascadeResult | Exception | None = None

    @property
    def done(self) -> bool:
        return self.outcome is not None

    def result(self, timeout: float | None = None) -> CascadeResult:
        while not self.done and self.engine.step():
            pass
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is None:
            raise TimeoutError
        return self.outcome

    def take_audio(self) -> list[np.ndarray]:
        return []

    def cancel(self) -> None:
        self.cancelled = True
        if not self.done:
            self.outcome = CancelledError("stopped")
            self.engine.queue.remove(self)


class ToneBackend:
    """Only what long form asks of a backend."""

    def __init__(self) -> None:
        self.config = BarkConfig.tiny()
        self.decoded: list[np.ndarray] = []

    def codec_decode(self, codes: np.ndarray) -> np.ndarray:
        self.decoded.append(codes)
        return tone(1.0)


@dataclass(eq=False)
class ToneEngine:
    """Takes `room` requests and finishes the newest first."""

    speak: Speak = spoken
    room: int = 100
    backend: ToneBackend = field(default_factory=ToneBackend)
    queue: list[ToneHandle] = field(default_factory=list)
    handles: list[ToneHandle] = field(default_factory=list)
    most_waiting: int = 0

    def submit(self, request: Request) -> ToneHandle:
        if len(self.queue) >= self.room:
            raise BusyError("full")
        handle = ToneHandle(self, request)
        self.queue.append(handle)
        self.handles.append(handle)
        self.most_waiting = max(self.most_waiting, len(self.queue))
        return handle

    def step(self) -> bool:
        if not self.queue:
            return False
        handle = self.queue.pop()
        try:
            handle.outcome = self.speak(handle.request)
        except Exception as error:
            handle.outcome = error
        return True
