"""The embedded model's semantic alphabet: phones, thirds of a phone and relative pitch, 50 a second.

``id = (unit * 3 + third) * 6 + pitch``. A unit is a consonant, a vowel with or without stress, the boundary between
words, or a pause. Pitch is 0 where a third is unvoiced, else 1 to 5 by its distance in semitones from the speaker's
median. So tokens say what is spoken and how, not who speaks; and a token sequence can be scored by its phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import TrainingError
from recipes.embedded.synth.kokoro import FRAME_SAMPLES, SAMPLE_RATE
from recipes.embedded.synth.labelled import resampled_f0
from recipes.embedded.synth.labels import phone_frames

TOKEN_RATE = 50
N_THIRDS = 3
N_PITCH = 6
_PITCH_EDGES = (-3.5, -1.2, 1.2, 3.5)
"""Semitones from the speaker's median between the five pitch bins."""

_CONSONANTS = "ɹntsldkzmðpwbfvhŋɡʃjɾʤʧθʒ"
_VOWELS = "əɪiɛæʌAIɔɑuOᵊᵻɜɒWʊQYae"
_BOUNDARY = " "
PAUSE = "."
_STRESS = "ˈˌ"
_LENGTH = "ː"
UNITS = (PAUSE, _BOUNDARY, *_CONSONANTS, *_VOWELS, *("ˈ" + vowel for vowel in _VOWELS))
VOCABULARY = len(UNITS) * N_THIRDS * N_PITCH
_INDEX = {unit: index for index, unit in enumerate(UNITS)}


@dataclass(frozen=True)
class TimedPhones:
    """Units [P] of a line and the time at which each ends, seconds [P]."""

    units: NDArray[np.int16]
    ends: NDArray[np.float64]


def timed_phones(phonemes: str, durations: NDArray[np.uint8]) -> TimedPhones:
    """Units and times of a teacher's line: P phonemes, P + 2 durations in frames of 25 ms.

    A stress mark belongs to the vowel after it, a length mark to the vowel before; punctuation and both edges are
    pauses. A phoneme without a frame of its own is dropped.

    Raises:
        TrainingError: lengths that disagree, or a phoneme outside the alphabet.
    """
    if len(durations) != len(phonemes) + 2:
        raise TrainingError(
            f"{len(durations)} durations for {len(phonemes)} phonemes and two edges"
        )
    units: list[str] = [PAUSE]
    frames: list[int] = [int(durations[0])]
    stress, carried = "", 0
    for phoneme, count in zip(phonemes, durations[1:-1].tolist(), strict=True):
        if phoneme in _STRESS:
            stress, carried = "ˈ", carried + count
            continue
        if phoneme == _LENGTH:
            frames[-1] += count
            continue
        unit = _unit(phoneme, stress)
        count, stress, carried = count + carried, "", 0
        if unit == PAUSE and units[-1] == PAUSE:
            frames[-1] += count
        else:
            units.append(unit)
            frames.append(count)
    units.append(PAUSE)
    frames.append(int(durations[-1]) + carried)
    kept = [i for i, count in enumerate(frames) if count > 0]
    ends = np.cumsum([frames[i] for i in kept]) * (FRAME_SAMPLES / SAMPLE_RATE)
    return TimedPhones(np.array([_INDEX[units[i]] for i in kept], np.int16), ends)


def _unit(phoneme: str, stress: str) -> str:
    if phoneme in _VOWELS:
        return stress + phoneme
    if phoneme in _CONSONANTS or phoneme == _BOUNDARY:
        return phoneme
    if not phoneme.isalpha():
        return PAUSE
    raise TrainingError(f"phoneme {phoneme!r} is not in the alphabet: {' '.join(UNITS)}")


def median_f0(f0: Sequence[NDArray[np.float32]]) -> float:
    """The median in Hz of the voiced values of a speaker's lines."""
    voiced = np.concatenate([np.zeros(0, np.float32), *(values[values > 40.0] for values in f0)])
    if not len(voiced):
        raise TrainingError("a speaker without a voiced frame has no pitch to compare with")
    return float(np.median(voiced))


def tokens_of(
    phones: TimedPhones, f0: NDArray[np.float32], median: float, n_frames: int
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """(tokens [T], the phone each frame belongs to [T]); f0 is the teacher's, 80 values a second."""
    owner = phone_frames(phones.ends, n_frames)
    first = np.searchsorted(owner, np.arange(len(phones.units)))
    length = np.bincount(owner, minlength=len(phones.units))
    within = np.arange(n_frames) - first[owner]
    thirds = (2 * within + 1) * N_THIRDS // (2 * length[owner])
    group = owner * N_THIRDS + thirds
    pitch = _pitch_bins(resampled_f0(f0, n_frames, TOKEN_RATE), group, median)
    tokens = (phones.units[owner].astype(np.int64) * N_THIRDS + thirds) * N_PITCH + pitch
    return tokens.astype(np.int16), owner


def _pitch_bins(
    f0: NDArray[np.float32], group: NDArray[np.int64], median: float
) -> NDArray[np.int64]:
    """The bin of each frame: one for all frames of a group, by the mean pitch of its voiced frames."""
    n_groups = int(group.max()) + 1
    voiced = f0 > 0
    semitones = 12 * np.log2(np.where(voiced, f0, median) / median)
    count = np.bincount(group, voiced, n_groups)
    mean = np.bincount(group, semitones * voiced, n_groups) / np.maximum(count, 1)
    is_voiced = 2 * count >= np.bincount(group, minlength=n_groups)
    bins = np.where(is_voiced, 1 + np.searchsorted(_PITCH_EDGES, mean), 0)
    result: NDArray[np.int64] = bins[group]
    return result


def phones_of_tokens(tokens: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The units [P] a token sequence spells, without pauses and boundaries: what phone errors are counted on.

    A unit counts again when its thirds start over. Stress is left out: it is not heard as another phone.
    """
    ids = np.asarray(tokens, np.int64)
    units, thirds = ids // (N_THIRDS * N_PITCH), ids // N_PITCH % N_THIRDS
    starts = np.ones(len(ids), bool)
    starts[1:] = (units[1:] != units[:-1]) | (thirds[1:] < thirds[:-1])
    found = units[starts]
    first_stressed = len(UNITS) - len(_VOWELS)
    found = np.where(found >= first_stressed, found - len(_VOWELS), found)
    result: NDArray[np.int64] = found[found > _INDEX[_BOUNDARY]]
    return result


def is_silent() -> NDArray[np.bool_]:
    """For each unit, whether it belongs to a space or a sign rather than to a letter."""
    return np.array([unit in (PAUSE, _BOUNDARY) for unit in UNITS])
