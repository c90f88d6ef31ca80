"""What can be done to a finished waveform, in one order: trimmed, sped up, resampled, brought to a loudness."""

from __future__ import annotations

from dataclasses import dataclass

from openbark.audio.loudness import check_loudness, with_loudness
from openbark.audio.resample import resample
from openbark.audio.samples import Waveform, check_waveform
from openbark.audio.stretch import check_speed, stretch
from openbark.audio.trim import speech_bounds
from openbark.errors import ParamError

__all__ = ["MAX_RATE", "MIN_RATE", "Edits"]

MIN_RATE = 8_000
MAX_RATE = 192_000
"""Legal sample rates of an edited waveform."""


@dataclass(frozen=True, slots=True)
class Edits:
    """Edits of a waveform; the defaults change nothing.

    trim: cut the silence at both ends, but for 0.15 s. speed: 0.5 to 2, at the same pitch. loudness: LUFS, by
    one gain that never clips; sample_rate: Hz; None leaves either. Raises ParamError for values outside.
    """

    trim: bool = False
    speed: float = 1.0
    loudness: float | None = None
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.trim, bool):
            raise ParamError(f"trim is {self.trim!r}; legal: True or False")
        check_speed(self.speed)
        if self.loudness is not None:
            check_loudness(self.loudness)
        rate = self.sample_rate
        is_whole = isinstance(rate, int) and not isinstance(rate, bool)
        if rate is not None and not (is_whole and MIN_RATE <= rate <= MAX_RATE):
            raise ParamError(
                f"sample_rate is {rate!r} Hz; legal: {MIN_RATE} to {MAX_RATE}, or None"
            )

    @property
    def is_none(self) -> bool:
        """Whether these change nothing."""
        return self == Edits()

    def apply(self, waveform: Waveform, sample_rate: int) -> tuple[Waveform, int]:
        """The edited waveform, at the rate of `sample_rate` where that is set, and how many samples of the old
        one were cut off its start."""
        edited, start = check_waveform(waveform, sample_rate), 0
        if self.trim:
            start, stop = speech_bounds(edited, sample_rate)
            edited = edited[start:stop]
        edited = stretch(edited, sample_rate, self.speed)
        if self.sample_rate is not None:
            edited = resample(edited, sample_rate, self.sample_rate)
        if self.loudness is not None:
            edited = with_loudness(edited, self.sample_rate or sample_rate, self.loudness)
        return edited, start
