"""Faster or slower speech at the same pitch: WSOLA (Verhelst and Roelands, ICASSP 1993).

Windows of the input are laid over each other at another spacing; each is taken where, near its due place, it goes
on best from the one before, so that periods stay whole. Blocks or a whole give the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openbark.audio.loudness import check_loudness, with_loudness
from openbark.audio.resample import resample
from openbark.audio.samples import check_rate, check_waveform
from openbark.audio.trim import speech_bounds
from openbark.errors import AudioError, ParamError
from openbark.scalars import read_flag, read_number, read_whole
from openbark.types import Waveform

MIN_SPEED = 0.5
MAX_SPEED = 2.0
"""Legal speeds; 2 is twice as fast."""

_HOP_SECONDS = 0.015
# A period of the lowest voice, 60 Hz, lies within the search.
_SEARCH_SECONDS = 0.0085


def check_speed(speed: float) -> None:
    """Raise ParamError unless `speed` is in MIN_SPEED..MAX_SPEED."""
    number = read_number(speed)
    if number is None or not MIN_SPEED <= number <= MAX_SPEED:
        raise ParamError(
            f"speed is {speed!r}; allowed: {MIN_SPEED:g} to {MAX_SPEED:g}, 1 is as it is"
        )


def stretch(waveform: Waveform, sample_rate: int, speed: float) -> Waveform:
    """A waveform [L] as [round(L / speed)] at the same pitch; a copy at speed 1. Raises ParamError."""
    stretcher = Stretcher(sample_rate, speed)
    return np.concatenate([stretcher.push(waveform), stretcher.finish()])


class Stretcher:
    """`stretch` for a stream: `push` blocks, then `finish`; the samples of all calls are the result."""

    def __init__(self, sample_rate: int, speed: float) -> None:
        """Raises ParamError for a speed outside MIN_SPEED..MAX_SPEED."""
        check_rate("sample_rate", sample_rate)
        check_speed(speed)
        self._rate = sample_rate
        self._speed = float(speed)
        self._hop = max(1, round(_HOP_SECONDS * sample_rate))
        self._search = max(1, round(_SEARCH_SECONDS * sample_rate))
        turn = np.arange(self._hop) + 0.5
        self._fade_in: Waveform = (np.sin(np.pi / 2 * turn / self._hop) ** 2).astype(np.float32)
        self._input = np.zeros(0, dtype=np.float32)
        self._dropped = 0
        self._n_in = 0
        self._n_out = 0
        self._n_windows = 0
        self._position = 0
        self._tail: Waveform | None = None
        self._finished = False

    def push(self, waveform: Waveform) -> Waveform:
        """Add samples [L]; those that are ready. Raises AudioError for samples that are no waveform."""
        if self._finished:
            raise AudioError("the waveform is finished; start another Stretcher for more")
        samples = check_waveform(waveform, self._rate)
        self._n_in += len(samples)
        if self._speed == 1.0:
            return samples.copy()
        self._input = np.concatenate([self._input, samples])
        return self._run(self._dropped + len(self._input))

    def finish(self) -> Waveform:
        """The last samples: `round(L / speed)` in all."""
        if self._finished or self._speed == 1.0:
            self._finished = True
            return np.zeros(0, dtype=np.float32)
        self._finished = True
        wanted = round(self._n_in / self._speed)
        before = self._n_out
        # The last windows look past the end, where there is silence.
        last = int((wanted / self._hop + 2) * self._hop * self._speed)
        silence = max(0, last + 4 * (self._hop + self._search) - self._n_in)
        self._input = np.pad(self._input, (0, silence))
        return self._run(self._dropped + len(self._input), wanted)[: wanted - before]

    def _run(self, end: int, wanted: int | None = None) -> Waveform:
        """Lay every window whose input lies before `end`, until `wanted` samples are out."""
        blocks = [np.zeros(0, dtype=np.float32)]
        while wanted is None or self._n_out < wanted:
            due = round(self._n_windows * self._hop * self._speed)
            reach = max(due + self._search, self._position + self._hop) + 2 * self._hop
            if reach > end:
                break
            blocks.append(self._lay(due))
        self._forget()
        return np.concatenate(blocks)

    def _lay(self, due: int) -> Waveform:
        if self._tail is None:
            # Nothing to fade from: the input itself, so that the start is as loud as it was.
            self._tail = self._at(0, self._hop) * (1 - self._fade_in)
        else:
            self._position = self._best(due)
        window = self._at(self._position, 2 * self._hop)
        block: Waveform = self._tail + window[: self._hop] * self._fade_in
        self._tail = window[self._hop :] * (1 - self._fade_in)
        self._n_windows += 1
        self._n_out += self._hop
        return block

    def _best(self, due: int) -> int:
        """Where, around `due`, the input is most like what followed the last window."""
        first = max(0, due - self._search)
        natural = self._at(self._position + self._hop, 2 * self._hop).astype(np.float64)
        region = self._at(first, due + self._search - first + 2 * self._hop).astype(np.float64)
        likeness = np.correlate(region, natural, "valid")
        energy = np.concatenate([[0.0], np.cumsum(region**2)])
        size = 2 * self._hop
        norm = np.sqrt(np.maximum(energy[size:] - energy[:-size], 0.0)) + 1e-6
        scores: NDArray[np.float64] = likeness / norm[: len(likeness)]
        return first + int(np.argmax(scores))

    def _at(self, position: int, length: int) -> Waveform:
        start = position - self._dropped
        return self._input[start : start + length]

    def _forget(self) -> None:
        due = round(self._n_windows * self._hop * self._speed)
        keep = max(self._dropped, min(due - self._search, self._position + self._hop))
        self._input = self._input[keep - self._dropped :]
        self._dropped = keep


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
