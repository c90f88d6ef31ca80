"""The keyword settings that every speaking call of Coqui's Bark takes (docs/parity.md C4, C6, C7, C31), in one place."""

from __future__ import annotations

from dataclasses import dataclass

from openbark.compat.suno.defaults import Unset, given_or_own
from openbark.compat.suno.stage_runs import stage_sampling
from openbark.params import GenerationParams, SamplingParams

TEMPERATURE = Unset(0.7)
"""Coqui's temperature of the semantic and the coarse stage."""

MIN_EOS_P = Unset(0.2)
"""Coqui's probability of the end that stops."""


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """Coqui's names and defaults; an unknown keyword is a TypeError, where Coqui ignores it.

    A temperature or min_eos_p that is not given is the checkpoint's own, for Suno's checkpoints this one.
    max_gen_duration_s: longest speech in seconds. use_kv_caching changes no token and is always used.
    """

    text_temp: float | None = TEMPERATURE
    waveform_temp: float | None = TEMPERATURE
    allow_early_stop: bool = True
    silent: bool = True
    top_k: int | None = None
    top_p: float | None = None
    min_eos_p: float | None = MIN_EOS_P
    max_gen_duration_s: float | None = None
    use_kv_caching: bool = True

    def semantic(self, own: GenerationParams) -> SamplingParams:
        """Sampling of the semantic stage of a checkpoint with the defaults `own`. Raises ParamError."""
        stage = own.semantic or SamplingParams()
        temperature = given_or_own(self.text_temp, stage.temperature)
        stop_at = given_or_own(self.min_eos_p, stage.min_eos_p)
        return stage_sampling(temperature, self.top_k, self.top_p, stop_at)

    def coarse(self, own: GenerationParams) -> SamplingParams:
        """Sampling of the coarse stage. Raises ParamError."""
        stage = own.coarse or SamplingParams()
        return stage_sampling(given_or_own(self.waveform_temp, stage.temperature))

    def fine(self, own: GenerationParams) -> SamplingParams:
        """Sampling of the fine stage, which no call can set (S3): Suno's 0.5, or the checkpoint's own."""
        return stage_sampling((own.fine or SamplingParams()).temperature)
