"""One line of the plan becomes one utterance: speech, semantic tokens and letter guide.

Joins the synthesiser, the pitch tracker, the labels and the alignment; knows nothing of shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openbark.training.data import Utterance
from recipes.embedded.synth.align import LetterTable, align_letters
from recipes.embedded.synth.labels import (
    SEMANTIC_FRAME_RATE,
    phone_frames,
    phone_ids,
    semantic_tokens,
)
from recipes.embedded.synth.pitch import fundamental_frequency
from recipes.embedded.synth.speak import SAMPLE_RATE, Speech, speak_espeak, speak_flite

SAMPLES_PER_FRAME = SAMPLE_RATE // SEMANTIC_FRAME_RATE
TARGET_LOUDNESS = 0.1
_PEAK_LIMIT = 0.95
_ACTIVE_SHARE = 0.1


@dataclass(frozen=True)
class Line:
    """Who says what: `text` is what the model reads, `spoken` what the synthesiser is told."""

    key: str
    text: str
    spoken: str
    speaker: str
    is_labelled: bool


@dataclass(frozen=True)
class SpeakerLevel:
    """What must be known of a speaker beforehand: loudness gain and log-Hz pitch bounds [3]."""

    gain: float
    pitch_edges: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """What every utterance shares: levels by speaker and the letters' sounds."""

    levels: Mapping[str, SpeakerLevel]
    letters: LetterTable


def speech_of(line: Line) -> Speech:
    """Speak a line as the synthesiser gives it, level unchanged."""
    speak = speak_flite if line.is_labelled else speak_espeak
    return speak(line.spoken, line.speaker)


def speak_line(line: Line, calibration: Calibration) -> Utterance:
    """Speak and label a line."""
    speech = speech_of(line)
    level = calibration.levels[line.speaker]
    waveform = _levelled(speech.waveform, level.gain)
    n_frames = -(-len(waveform) // SAMPLES_PER_FRAME)
    waveform = np.pad(waveform, (0, n_frames * SAMPLES_PER_FRAME - len(waveform)))
    pcm16 = np.round(waveform * 32767).astype(np.int16)
    if not line.is_labelled:
        return Utterance(line.key, line.text, line.speaker, waveform=pcm16)
    f0 = fundamental_frequency(waveform, SAMPLE_RATE)
    tokens = semantic_tokens(speech.phones, speech.end_times, f0, level.pitch_edges, n_frames)
    owner = phone_frames(speech.end_times, n_frames)
    letter_of_phone = align_letters(calibration.letters, [(line.text, phone_ids(speech.phones))])
    return Utterance(
        line.key,
        line.text,
        line.speaker,
        waveform=pcm16,
        semantic=tokens,
        guide=letter_of_phone[0][owner],
    )


def loudness(waveform: NDArray[np.float32]) -> float:
    """RMS of the frames that hold speech: those above a tenth of the loudest frame's RMS."""
    n_frames = len(waveform) // SAMPLES_PER_FRAME
    frames = waveform[: n_frames * SAMPLES_PER_FRAME].reshape(n_frames, -1)
    power = (frames.astype(np.float64) ** 2).mean(axis=1)
    active = power[power >= power.max(initial=0.0) * _ACTIVE_SHARE**2]
    return float(np.sqrt(active.mean())) if len(active) else 0.0


def _levelled(waveform: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    peak = float(np.abs(waveform).max(initial=0.0))
    return waveform * np.float32(min(gain, _PEAK_LIMIT / max(peak, 1e-6)))
