"""How good an attempt at a piece is, and whether it ran away: what retries and best-of are decided by.

Judges length, silence and sound; words only with a recogniser that is handed in. Knows no engine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openbark.audio.trim import speech_bounds
from openbark.config import BarkConfig
from openbark.engine.request import Waveform
from openbark.params import GenerationParams
from openbark.stages.semantic import StopReason

__all__ = [
    "Attempt",
    "DefaultScorer",
    "Recogniser",
    "Score",
    "Scorer",
    "measured",
    "sound_profile",
    "word_error_rate",
]

Recogniser = Callable[[Waveform, int], str]
"""The words in a waveform [L] at a sample rate."""

_SILENT = 1e-4
_BANDS = 24
_HIGHEST_HZ = 8000.0
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, eq=False)
class Attempt:
    """One rendering of a piece.

    normalized: its text as the model read it; seconds: expected. waveform: [L], silence included; [first, last):
    its speech in samples. reference: sound of the voice (`sound_profile`), if there is one.
    """

    normalized: str
    seconds: float
    params: GenerationParams
    stop_reason: StopReason
    waveform: Waveform
    first: int
    last: int
    config: BarkConfig
    reference: NDArray[np.float64] | None = None

    @property
    def speech_seconds(self) -> float:
        """From the first to the last sound."""
        return (self.last - self.first) / self.config.sample_rate

    @property
    def tail_seconds(self) -> float:
        """Silence after the last sound."""
        return (len(self.waveform) - self.last) / self.config.sample_rate


@dataclass(frozen=True, slots=True)
class Score:
    """value: 0 to 1, more is better. faults: why it should be made again; none, and it is kept."""

    value: float
    faults: tuple[str, ...] = ()


class Scorer(Protocol):
    """Judges attempts; any object with this method."""

    def score(self, attempt: Attempt) -> Score:
        """Judge one attempt, by nothing but what it says."""
        ...


@dataclass(frozen=True, slots=True)
class DefaultScorer:
    """Length against the text's, silence at the end, likeness to the voice; words where a recogniser is given.

    max_word_errors: share of wrong words beyond which an attempt is made again.
    """

    recogniser: Recogniser | None = None
    max_word_errors: float = 0.5
    max_tail_seconds: float = 1.0

    def score(self, attempt: Attempt) -> Score:
        """Judge one attempt."""
        if np.abs(attempt.waveform).max(initial=0.0) <= _SILENT:
            return Score(0.0, ("it is silent",))
        faults = self._faults(attempt)
        ratio = math.log(max(attempt.speech_seconds, 0.01) / max(attempt.seconds, 0.01))
        parts = [
            math.exp(-(ratio**2)),
            math.exp(-max(0.0, attempt.tail_seconds - 0.3)),
        ]
        if attempt.reference is not None:
            own = sound_profile(
                attempt.waveform[attempt.first : attempt.last], attempt.config.sample_rate
            )
            parts.append((1 + float(own @ attempt.reference)) / 2)
        if self.recogniser is not None:
            heard = self.recogniser(attempt.waveform, attempt.config.sample_rate)
            errors = word_error_rate(attempt.normalized, heard)
            parts.append(max(0.0, 1 - errors))
            if errors > self.max_word_errors:
                faults.append(f"{errors:.0%} of its words are wrong")
        return Score(math.prod(parts) ** (1 / len(parts)), tuple(faults))

    def _faults(self, attempt: Attempt) -> list[str]:
        faults = []
        asked = attempt.params
        limited = asked.max_semantic_tokens is not None or not asked.allow_early_stop
        if attempt.stop_reason is StopReason.MAX_TOKENS and not limited:
            faults.append("it came to no end")
        if attempt.tail_seconds > self.max_tail_seconds:
            faults.append(f"{attempt.tail_seconds:.1f} s of silence at its end")
        if limited or asked.max_semantic_seconds is not None:
            return faults
        spoken, expected = attempt.speech_seconds, attempt.seconds
        if spoken > 2.2 * expected + 1.5:
            faults.append(f"{spoken:.1f} s long, {expected:.1f} s expected")
        elif spoken < 0.3 * expected - 0.2:
            faults.append(f"only {spoken:.1f} s long, {expected:.1f} s expected")
        return faults


def sound_profile(waveform: Waveform, sample_rate: int) -> NDArray[np.float64]:
    """Mean spectrum of the louder frames in 24 bands, mean free and of length one: [24]. Two are alike by their
    product, -1 to 1."""
    size = 1 << max(4, round(0.032 * sample_rate)).bit_length()
    padded = np.pad(waveform.astype(np.float64), (0, max(0, size - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    energy = (frames**2).mean(axis=1)
    loud = frames[energy >= np.median(energy)]
    power = (np.abs(np.fft.rfft(loud * np.hanning(size), axis=1)) ** 2).mean(axis=0)
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    # Bands as wide as the ear's: even steps of the mel scale.
    mel = 2595 * np.log10(1 + hertz / 700)
    top = 2595 * math.log10(1 + min(_HIGHEST_HZ, sample_rate / 2) / 700)
    band = np.minimum((mel / top * _BANDS).astype(int), _BANDS)
    levels = np.array(
        [math.log(power[band == index].sum() + 1e-10) for index in range(_BANDS)], dtype=np.float64
    )
    levels -= levels.mean()
    length = float(np.linalg.norm(levels))
    profile: NDArray[np.float64] = levels / length if length > 0 else levels
    return profile


def word_error_rate(text: str, heard: str) -> float:
    """Words to insert, delete or replace over the words of `text`."""
    wanted = [word.lower() for word in _WORD.findall(text)]
    found = [word.lower() for word in _WORD.findall(heard)]
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(found, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / max(len(wanted), 1)


def measured(
    normalized: str,
    seconds: float,
    params: GenerationParams,
    stop_reason: StopReason,
    waveform: Waveform,
    config: BarkConfig,
    reference: NDArray[np.float64] | None = None,
) -> Attempt:
    """An attempt with its speech found."""
    first, last = speech_bounds(waveform, config.sample_rate, 0.0)
    return Attempt(
        normalized, seconds, params, stop_reason, waveform, first, last, config, reference
    )
