"""What can be done to a finished waveform, in one order: trimmed, sped up, resampled, brought to a loudness."""

from __future__ import annotations

from dataclasses import dataclass

from openbark.audio.loudness import check_loudness, with_loudness
from openbark.audio.resample import resample
from openbark.audio.samples import check_waveform
from openbark.audio.stretch import check_speed, stretch
from openbark.audio.trim import speech_bounds
from openbark.errors import ParamError
from openbark.scalars import read_flag, read_number, read_whole
from openbark.types import Waveform

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
        trim = read_flag(self.trim)
        if trim is None:
            raise ParamError(f"trim is {self.trim!r}; allowed: True or False")
        check_speed(self.speed)
        # Kept as plain numbers: they are written into files as JSON.
        object.__setattr__(self, "trim", trim)
        object.__setattr__(self, "speed", read_number(self.speed))
        if self.loudness is not None:
            check_loudness(self.loudness)
            object.__setattr__(self, "loudness", read_number(self.loudness))
        if self.sample_rate is not None:
            rate = read_whole(self.sample_rate)
            if rate is None or not MIN_RATE <= rate <= MAX_RATE:
                raise ParamError(
                    f"sample_rate is {self.sample_rate!r} Hz; allowed: {MIN_RATE} to {MAX_RATE}, or None"
                )
            object.__setattr__(self, "sample_rate", rate)

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
