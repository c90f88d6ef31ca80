"""A backend without arithmetic: its tokens follow from prompt, seed and step alone, its mistakes from the seed.

It refuses what no real backend could serve: draws that skip a step, a session in two runs, a run without prompt.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Drawn, DrawRun, Flag
from openbark.config import BarkConfig
from openbark.engine.cascade import run
from openbark.engine.request import CascadeResult, Request
from openbark.engine.stats import EngineStats
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt, StopReason
from openbark.types import Logits
from openbark.voices.voice import Voice

Tokens = NDArray[np.int64]

POISONED = 900
"""Requests with seeds from here on fail in their first batch of draws, and alone."""

FRAGILE = 800
"""Requests with seeds from here on fail in a batch, and not alone."""


@dataclass
class FakeSession:
    """A row whose tokens are a hash of what it has read."""

    backend: FakeBackend
    stage: Stage
    state: int = 0
    step: int | None = None
    prompted: bool = False

    def prefill(self, prompt: Prompt) -> Logits:
        raise AssertionError("nobody needs logits here")

    def step_token(self, token: int) -> None:
        self.state = zlib.crc32(token.to_bytes(4, "little"), self.state)

    def read(self, prompt: Prompt) -> None:
        self.state = zlib.crc32(np.ascontiguousarray(prompt.ids).tobytes())
        self.prompted, self.step = True, None

    def draw_run(
        self,
        sampling: SamplingParams,
        noise: Noise,
        first_step: int,
        n_steps: int,
        allow_early_stop: bool = True,
        cancel: Flag | None = None,
    ) -> Drawn:
        assert self.prompted and n_steps >= 1
        assert self.step in (None, first_step)
        if noise.seed >= POISONED:
            raise MemoryError(f"seed {noise.seed}")
        config, drawn = self.backend.config, []
        for step in range(first_step, first_step + n_steps):
            if cancel is not None and cancel[0]:
                break
            word = zlib.crc32(f"{noise.seed} {step} {sampling.temperature}".encode(), self.state)
            if self.stage is Stage.SEMANTIC:
                if allow_early_stop and step > 1 and word % 8 == 0:
                    return np.array(drawn, dtype=np.int64), StopReason.EOS
                token = word % config.semantic_rules.semantic_vocab_size
            else:
                k = step % config.coarse_rules.n_codebooks
                token = (
                    config.coarse_offset + k * config.codebook_size + word % config.codebook_size
                )
            self.step_token(token)
            drawn.append(token)
        self.step = first_step + len(drawn)
        return np.array(drawn, dtype=np.int64), None


@dataclass
class FakeBackend:
    """Batches, counts its rows, and keeps the sizes of the batches. `shares_cores`: as of a `SharedBackend`."""

    config: BarkConfig = field(default_factory=BarkConfig.tiny)
    description: str = "fake"
    dtype: str = "float32"
    shares_cores: bool = False
    batches: list[int] = field(default_factory=list)

    def session(self, stage: Stage) -> FakeSession:
        return FakeSession(self, stage)

    def draw_batch(self, runs: Sequence[DrawRun]) -> list[Drawn]:
        sessions = [run.session for run in runs]
        assert len({id(session) for session in sessions}) == len(sessions)
        assert len({session.stage for session in sessions}) == 1
        self.batches.append(len(runs))
        drawn = [
            run.session.draw_run(
                run.sampling,
                run.noise,
                run.first_step,
                run.n_steps,
                run.allow_early_stop,
                run.cancel,
            )
            for run in runs
        ]
        # After all have moved: what is left of them is of no use to anyone.
        if any(run.noise.seed >= FRAGILE for run in runs):
            for session in sessions:
                session.prompted = False
            raise RuntimeError("the batch failed")
        return drawn

    def draw_fine(
        self,
        codes: Tokens,
        k: int,
        first: int,
        first_frame: int,
        sampling: SamplingParams,
        noise: Noise,
    ) -> Tokens:
        key = zlib.crc32(np.ascontiguousarray(codes[:k]).tobytes(), noise.seed + 31 * k)
        frames = np.arange(first_frame, first_frame + codes.shape[1] - first)
        return (frames + key) % self.config.codebook_size

    def causal_logits(self, stage: Stage, prompt: Prompt) -> Logits:
        raise AssertionError("nobody needs logits here")

    def fine_logits(self, codes: Tokens, k: int) -> Logits:
        raise AssertionError("nobody needs logits here")

    def codec_decode(self, codes: Tokens) -> NDArray[np.float32]:
        return (codes.sum(axis=0) / 1000.0).astype(np.float32)

    def codec_encode(self, waveform: NDArray[np.float32], n_codebooks: int) -> Tokens:
        raise AssertionError("nobody encodes here")


def fake_request(
    seed: int,
    n_text: int = 5,
    limit: int | None = None,
    temperature: float = 0.7,
    early: bool = True,
    with_voice: bool = False,
) -> Request:
    """A small request for it."""
    generator = np.random.default_rng(seed % 100)
    codes = generator.integers(0, 32, (8, 45))
    params = GenerationParams(
        SamplingParams(temperature),
        SamplingParams(temperature),
        SamplingParams(temperature),
        max_semantic_tokens=limit,
        allow_early_stop=early,
    )
    voice = Voice(generator.integers(0, 100, 30), codes[:2], codes) if with_voice else None
    return Request(np.arange(1, 1 + n_text), params.resolve(SUNO_PARAMS), seed, voice)


def plain(result: CascadeResult) -> tuple[object, ...]:
    """What two equal results have in common."""
    return (
        result.semantic.tolist(),
        result.coarse.tolist(),
        result.fine.tolist(),
        result.waveform.tolist(),
        result.stop_reason,
        result.n_text_tokens,
    )


def alone(request: Request) -> tuple[object, ...]:
    """What a request is when nothing runs beside it."""
    return plain(run(FakeBackend(), request))


def is_idle(stats: EngineStats) -> bool:
    """Whether an engine has nothing to do."""
    gauges = (stats.queued, stats.running, stats.semantic, stats.coarse, stats.fine, stats.codec)
    return not any(gauges) and stats.queued_seconds == 0
