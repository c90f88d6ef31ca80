"""One way to draw for every backend: those that only give logits are stepped here, by the stages' rules.

Knows neither requests nor windows.
"""

from __future__ import annotations

import numpy as np

from openbark.backends.base import (
    Backend,
    CausalSession,
    DrawingBackend,
    DrawingSession,
    Drawn,
    Flag,
    Logits,
    Tokens,
)
from openbark.config import BarkConfig
from openbark.params import SamplingParams
from openbark.stages.coarse import choose_coarse
from openbark.stages.fine import choose_fine
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt, StopReason, choose_semantic

__all__ = ["SteppedSession", "draw_fine", "drawing_session"]


class SteppedSession:
    """Runs of draws (`backends.base.DrawingSession.draw_run`) on a session that gives logits."""

    def __init__(self, session: CausalSession, stage: Stage, config: BarkConfig) -> None:
        self._session = session
        self._stage = stage
        self._config = config
        self._logits: Logits | None = None
        self._pending: int | None = None

    def prefill(self, prompt: Prompt) -> Logits:
        """Forget everything, read the prompt; logits [V] after its last position."""
        self._pending = None
        self._logits = self._session.prefill(prompt)
        return self._logits

    def read(self, prompt: Prompt) -> None:
        """As `prefill`, without logits."""
        self.prefill(prompt)

    def step(self, token: int) -> Logits:
        """Append one token; logits [V] after it."""
        self._pending = None
        self._logits = self._session.step(token)
        return self._logits

    def draw_run(
        self,
        sampling: SamplingParams,
        noise: Noise,
        first_step: int,
        n_steps: int,
        allow_early_stop: bool = True,
        cancel: Flag | None = None,
    ) -> Drawn:
        """Tokens number `first_step`.. of the request, and why there are fewer than `n_steps`."""
        drawn: list[int] = []
        for step in range(first_step, first_step + n_steps):
            if cancel is not None and cancel[0]:
                break
            logits = self._current()
            number = noise.uniform(self._stage, step)
            if self._stage is Stage.SEMANTIC:
                rules = self._config.semantic_rules
                choice = choose_semantic(logits, sampling, allow_early_stop, number, rules)
                if isinstance(choice, StopReason):
                    return np.array(drawn, dtype=np.int64), choice
            else:
                choice = choose_coarse(logits, step, sampling, number, self._config)
            drawn.append(choice)
            self._pending = choice
        return np.array(drawn, dtype=np.int64), None

    def _current(self) -> Logits:
        if self._pending is not None:
            self.step(self._pending)
        if self._logits is None:
            raise TypeError("a session starts with a prompt")
        return self._logits


def drawing_session(backend: Backend, stage: Stage) -> DrawingSession:
    """A fresh row of a causal stage that draws."""
    if isinstance(backend, DrawingBackend):
        return backend.session(stage)
    return SteppedSession(backend.session(stage), stage, backend.config)


def draw_fine(
    backend: Backend,
    codes: Tokens,
    k: int,
    first: int,
    first_frame: int,
    sampling: SamplingParams,
    noise: Noise,
) -> Tokens:
    """Codebook k at frames `first`.. of a window of codes [K, N], canvas frames `first_frame`.. (S38)."""
    if isinstance(backend, DrawingBackend):
        return backend.draw_fine(codes, k, first, first_frame, sampling, noise)
    logits = backend.fine_logits(codes, k)
    return choose_fine(logits[first:], k, first_frame, sampling, noise, backend.config)
