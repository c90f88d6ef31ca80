from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.speaker_check import fit_measure, similarity_matrix
from benchmarks.speaker_similarity import SpeakerMeasure, pitch_track, speaker_statistics
from benchmarks.systems import Spoken
from openbark.errors import AudioError

RATE = 16_000
# Pitch in Hz, and the formants that stand for a vocal tract.
SPEAKERS = {"low": (100.0, (500.0, 1500.0)), "high": (210.0, (700.0, 2300.0))}


def hum(speaker: str, seed: int, seconds: float = 1.0) -> NDArray[np.float64]:
    """Harmonics of a wavering pitch, weighted by two formants that wander a little."""
    base, formants = SPEAKERS[speaker]
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = base * (1 + 0.05 * np.sin(2 * np.pi * (2 + rng.random()) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    moved = [formant * (1 + 0.05 * rng.standard_normal()) for formant in formants]
    wave = np.zeros_like(t)
    for k in range(1, int(4000 / base)):
        gain = sum(np.exp(-(((k * base - formant) / 300.0) ** 2)) for formant in moved)
        wave += (gain + 0.01) * np.sin(k * phase)
    return 0.1 * wave / wave.std() + 1e-4 * rng.standard_normal(len(t))


def clips(speaker: str, seeds: range) -> list[Spoken]:
    return [Spoken(hum(speaker, seed).astype(np.float32), RATE) for seed in seeds]


@pytest.fixture(scope="module")
def measure() -> SpeakerMeasure:
    return fit_measure({name: clips(name, range(12)) for name in SPEAKERS})


@pytest.mark.parametrize("hz", [80.0, 123.0, 200.0, 310.0])
def test_pitch_of_a_harmonic_tone(hz: float) -> None:
    t = np.arange(RATE) / RATE
    wave = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 8))
    pitch, strength = pitch_track(wave)
    middle = slice(5, -5)
    assert np.median(pitch[middle]) == pytest.approx(hz, rel=0.02)
    assert strength[middle].min() > 0.8


def test_noise_is_not_voiced() -> None:
    _, strength = pitch_track(np.random.default_rng(0).standard_normal(RATE))
    assert np.median(strength) < 0.4


def test_new_clips_are_told_apart(measure: SpeakerMeasure) -> None:
    result = similarity_matrix(measure, {name: clips(name, range(50, 56)) for name in SPEAKERS})
    assert result["identified"] == 1.0
    assert result["own_is_best"]
    assert result["own"] > 0.5 > result["best_other"]


def test_swapped_voices_are_noticed(measure: SpeakerMeasure) -> None:
    swapped = {"low": clips("high", range(60, 63)), "high": clips("low", range(60, 63))}
    result = similarity_matrix(measure, swapped)
    assert result["identified"] == 0.0
    assert not result["own_is_best"]


def test_the_sample_rate_does_not_change_the_speaker(measure: SpeakerMeasure) -> None:
    t_fine = np.arange(24_000) / 24_000
    wave = np.interp(t_fine, np.arange(RATE) / RATE, hum("low", 70))
    found = measure.similarity(speaker_statistics(wave, 24_000))
    assert found["low"] > 0.5 > found["high"]


def test_other_references_in_the_same_space(measure: SpeakerMeasure) -> None:
    moved = measure.with_references({"x": [(hum("high", 80), RATE)]})
    assert moved.similarity(speaker_statistics(hum("high", 81), RATE))["x"] > 0.5
    assert moved.similarity(speaker_statistics(hum("low", 81), RATE))["x"] < 0.0


@pytest.mark.parametrize("wave", [np.zeros(RATE), np.full(RATE, np.nan), np.zeros(0)])
def test_a_clip_without_voice_is_counted_not_recognised(
    wave: NDArray[np.float64], measure: SpeakerMeasure
) -> None:
    with pytest.raises(AudioError, match="speaker measure"):
        speaker_statistics(wave, RATE)
    result = similarity_matrix(measure, {"low": [Spoken(wave.astype(np.float32), RATE)]})
    assert result["voiceless"] == 1
    assert result["identified"] == 0.0
