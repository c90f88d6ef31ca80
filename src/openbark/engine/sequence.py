"""A request's state in the engine: its coroutine, its caches, its noise. Knows no backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openbark.backends.base import CodecStream, DrawingSession, Flag
from openbark.engine.request import Request
from openbark.engine.stages import Steps
from openbark.engine.work import Decode, FineStep, Prefill, Work
from openbark.stages.sampling import Noise, Stage

__all__ = ["Sequence", "StageCache"]


@dataclass(eq=False)
class StageCache:
    """The cache of a causal stage: its session, the prompt read last, and the number of the token after it."""

    session: DrawingSession
    opening: Prefill
    first_step: int = 0


class Sequence:
    """One request being decoded: the work it needs next, and its caches."""

    def __init__(self, request: Request, steps: Steps[Any], cancel: Flag | None = None) -> None:
        """Start the coroutine. cancel: another thread stops the sequence by setting it.

        Raises what the coroutine raises before its first work item, such as TextError.
        """
        self.request = request
        self.noise = Noise(request.seed)
        self.cancel: Flag = np.zeros(1, dtype=np.int32) if cancel is None else cancel
        self.result: Any = None
        self.work: Work | None = None
        self.caches: dict[Stage, StageCache] = {}
        self.codec: CodecStream | None = None
        self.interleaves = request.latency == "low"  # its stages alternate, so all caches are kept
        self.decodes_alone = request.sampler is not None  # a foreign sampler takes one sequence
        self._steps = steps
        self.advance(None)

    def advance(self, result: Any) -> None:
        """Pass the result of the current work item to the coroutine.

        `work` is then the next item, or None when `result` holds the outcome. Raises what the coroutine raises.
        """
        done = self.work
        try:
            self.work = self._steps.send(result)
        except StopIteration as end:
            self.work, self.codec, self.result = None, None, end.value
            self.caches.clear()
        if isinstance(done, Prefill) and isinstance(self.work, Decode):
            self.caches[done.stage].first_step = self.work.first_step

    @property
    def stage(self) -> str:
        """The stage, of STAGES, that the sequence is in."""
        match self.work:
            case Prefill(stage=stage) | Decode(stage=stage):
                return stage.name.lower()
            case FineStep():
                return "fine"
        return "codec"

    @property
    def stopped(self) -> bool:
        """Whether the request was cancelled, by its flag or by its own `cancel`."""
        return bool(self.cancel[0]) or self.request.stopped

    @property
    def checks_every_step(self) -> bool:
        """Whether `request.cancel` has to be asked before every token."""
        return self.request.cancel is not None
