"""The keyword settings that every speaking call of Coqui's Bark takes (C4, C6, C7, C31), in one place."""

from __future__ import annotations

from dataclasses import dataclass

from openbark.compat.suno.stage_runs import stage_sampling
from openbark.params import SamplingParams

__all__ = ["SpeechOptions"]

_FINE_TEMPERATURE = 0.5


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """Coqui's names and defaults; an unknown keyword is a TypeError, where Coqui ignores it.

    max_gen_duration_s: longest speech in seconds. use_kv_caching changes no token and is always used.
    """

    text_temp: float | None = 0.7
    waveform_temp: float | None = 0.7
    allow_early_stop: bool = True
    silent: bool = True
    top_k: int | None = None
    top_p: float | None = None
    min_eos_p: float | None = 0.2
    max_gen_duration_s: float | None = None
    use_kv_caching: bool = True

    def semantic(self) -> SamplingParams:
        """Sampling of the semantic stage. Raises ParamError."""
        return stage_sampling(self.text_temp, self.top_k, self.top_p, self.min_eos_p)

    def coarse(self) -> SamplingParams:
        """Sampling of the coarse stage. Raises ParamError."""
        return stage_sampling(self.waveform_temp)

    def fine(self) -> SamplingParams:
        """Sampling of the fine stage, whose temperature is fixed, as with Suno (S3)."""
        return stage_sampling(_FINE_TEMPERATURE)
