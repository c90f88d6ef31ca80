"""A request to the engine and its result. Knows no text, no files and no backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openbark.engine.draws import Sampler
from openbark.errors import ParamError
from openbark.params import GenerationParams
from openbark.stages.semantic import StopReason
from openbark.types import Cancel, Progress, Tokens, Waveform, stopped
from openbark.voices.voice import Voice

Listen = Callable[[Waveform], None]
"""Called with samples [L] as they are made."""

STAGES = ("semantic", "coarse", "fine", "codec")
"""Names of the stages in order, as progress and timings give them."""

LATENCIES = ("sentence", "low")
"""When audio is returned: at the end of each request, or as it is made (`engine.stages`)."""


def check_latency(latency: str) -> None:
    """Raise ParamError unless it is one of LATENCIES."""
    if latency not in LATENCIES:
        raise ParamError(f"latency is {latency!r}; allowed: {', '.join(LATENCIES)}")


@dataclass(frozen=True, eq=False)
class Request:
    """One request: tokens, sampling, voice, and how it can be cancelled.

    text_tokens: tokenizer ids [N], without offset. params: resolved, all three stages set.
    voice: validated against the model, or None. sampler: samples one token at a time of this
    sequence alone; None samples from `seed`. continues: its audio follows audio that is being played, so it is queued
    before requests that start new audio. begins: a listener waits for its first audio, so it is computed before what
    others hear later. latency: one of LATENCIES.

    Raises ParamError for another latency.
    """

    text_tokens: Tokens
    params: GenerationParams
    seed: int
    voice: Voice | None = None
    cancel: Cancel | None = None
    progress: Progress | None = None
    sampler: Sampler | None = None
    continues: bool = False
    begins: bool = False
    latency: str = "sentence"

    def __post_init__(self) -> None:
        check_latency(self.latency)

    @property
    def stopped(self) -> bool:
        """Whether `cancel` says so now."""
        return stopped(self.cancel)


@dataclass(frozen=True, eq=False)
class CascadeResult:
    """Tokens of every stage, the waveform, and the measurements.

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
