"""One way to draw for every backend: those that only give logits are stepped here, by the stages' rules.

Draws come from our noise, or from a sampler that is handed in. Knows neither requests nor windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from openbark.backends.base import (
    Backend,
    CausalSession,
    DrawingBackend,
    DrawingSession,
    Drawn,
    Flag,
)
from openbark.config import BarkConfig
from openbark.params import SamplingParams
from openbark.stages.coarse import codebook_ids
from openbark.stages.sampling import Noise, Stage, draw, probabilities
from openbark.stages.semantic import Prompt, StopReason, drawable_logits, early_stop
from openbark.types import Logits, Tokens


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
    """OpenBark's own draws: noise addressed by (seed, stage, step), as `choose_semantic`, `choose_coarse`
    and `choose_fine` make them."""

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


class SteppedSession:
    """Runs of draws (`backends.base.DrawingSession.draw_run`) on a session that gives logits."""

    def __init__(
        self,
        session: CausalSession,
        stage: Stage,
        config: BarkConfig,
        sampler: Sampler | None = None,
    ) -> None:
        """sampler: draws in the place of the noise that `draw_run` is given."""
        self._session = session
        self._stage = stage
        self._config = config
        self._sampler = sampler
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
        sampler = self._sampler or NoiseSampler(noise)
        drawn: list[int] = []
        reason: StopReason | None = None
        for step in range(first_step, first_step + n_steps):
            if cancel is not None and cancel[0]:
                break
            logits = self._current()
            if self._stage is Stage.SEMANTIC:
                rules = self._config.semantic_rules
                support = drawable_logits(logits, allow_early_stop, rules)
                token, p_last = sampler.token(support, sampling, self._stage, step)
                reason = early_stop(token, p_last, sampling, rules) if allow_early_stop else None
                if reason is not None:
                    break
            else:
                ids = codebook_ids(step % self._config.coarse_rules.n_codebooks, self._config)
                token = ids.start + sampler.token(logits[ids], sampling, self._stage, step)[0]
            drawn.append(token)
            self._pending = token
        return np.array(drawn, dtype=np.int64), reason

    def _current(self) -> Logits:
        if self._pending is not None:
            self.step(self._pending)
        if self._logits is None:
            raise TypeError("a session starts with a prompt")
        return self._logits


def drawing_session(
    backend: Backend, stage: Stage, sampler: Sampler | None = None
) -> DrawingSession:
    """A fresh row of a causal stage that draws: with `sampler` where one is given."""
    if sampler is None and isinstance(backend, DrawingBackend):
        return backend.session(stage)
    return SteppedSession(backend.session(stage), stage, backend.config, sampler)


def draw_fine(
    backend: Backend,
    codes: Tokens,
    k: int,
    first: int,
    first_frame: int,
    sampling: SamplingParams,
    noise: Noise,
    sampler: Sampler | None = None,
) -> Tokens:
    """Codebook k at frames `first`.. of a window of codes [K, N], canvas frames `first_frame`.. (docs/parity.md S38)."""
    if sampler is None and isinstance(backend, DrawingBackend):
        return backend.draw_fine(codes, k, first, first_frame, sampling, noise)
    support = backend.fine_logits(codes, k)[first:, : backend.config.codebook_size]
    return (sampler or NoiseSampler(noise)).frames(support, sampling, k, first_frame)
