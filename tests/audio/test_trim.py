"""Silence at the ends goes, 150 ms of it at most stays, and nothing voiced is cut."""

from __future__ import annotations

import numpy as np
import pytest

from openbark.audio.edits import Edits
from openbark.audio.trim import speech_bounds, trim_silence
from openbark.errors import ParamError

RATE = 24_000


def vowel(seconds: float, level_db: float = -10.0, hertz: float = 120.0) -> np.ndarray:
    """Harmonics of a pitch."""
    times = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * times) / k for k in range(1, 9))
    return (10 ** (level_db / 20) * wave / 2).astype(np.float32)


def hiss(seconds: float, level_db: float) -> np.ndarray:
    noise = np.random.default_rng(3).standard_normal(round(seconds * RATE))
    return (10 ** (level_db / 20) * noise).astype(np.float32)


def test_silence_at_the_ends_is_cut_to_150_ms() -> None:
    speech = vowel(1.0)
    signal = np.concatenate([hiss(2.0, -70), speech, hiss(3.0, -70)])
    start, stop = speech_bounds(signal, RATE)
    assert 2.0 - 0.16 <= start / RATE <= 2.0
    assert 3.0 <= stop / RATE <= 3.0 + 0.16
    assert np.array_equal(trim_silence(signal, RATE), signal[start:stop])


def test_a_pause_inside_stays() -> None:
    signal = np.concatenate([vowel(0.5), np.zeros(RATE, dtype=np.float32), vowel(0.5)])
    assert len(trim_silence(signal, RATE)) == len(signal)


@pytest.mark.parametrize("hertz", [75.0, 120.0, 240.0, 400.0])
def test_a_quiet_voiced_end_is_never_cut_into(hertz: float) -> None:
    fade = 10 ** (np.linspace(0, -48, RATE) / 20).astype(np.float32)
    dying = vowel(1.0, hertz=hertz) * fade
    signal = np.concatenate(
        [hiss(1.0, -80), dying[::-1], vowel(0.3, hertz=hertz), dying, hiss(1.0, -80)]
    )
    start, stop = speech_bounds(signal, RATE, keep_seconds=0.0)
    assert start <= round(1.005 * RATE)
    assert stop >= round(3.295 * RATE)
    quiet_noise = np.concatenate([hiss(1.0, -58), vowel(0.5), hiss(1.0, -58)])
    first, last = speech_bounds(quiet_noise, RATE, keep_seconds=0.0)
    assert abs(first - RATE) < 0.03 * RATE
    assert abs(last - 1.5 * RATE) < 0.03 * RATE


def test_long_voiced_ends_are_followed_all_the_way() -> None:
    signal = np.concatenate([vowel(30.0, -62), vowel(0.5, -10)])
    assert speech_bounds(signal, RATE)[0] == 0


@pytest.mark.parametrize("length", [0, 1, 100])
def test_silence_alone_and_very_short_signals_stay(length: int) -> None:
    silence = np.zeros(length, dtype=np.float32)
    assert len(trim_silence(silence, RATE)) == length
    assert len(trim_silence(silence + 0.5, RATE)) == length


@pytest.mark.parametrize("keep", [-0.1, 0.2, True])
def test_bad_keep(keep: float) -> None:
    with pytest.raises(ParamError, match="keep_seconds"):
        trim_silence(vowel(0.1), RATE, keep)


def test_edits_are_trim_then_speed_then_loudness() -> None:
    signal = np.concatenate(
        [np.zeros(RATE, dtype=np.float32), vowel(1.0), np.zeros(RATE, np.float32)]
    )
    edited, start = Edits(trim=True, speed=2.0, loudness=-20.0).apply(signal, RATE)
    assert start == pytest.approx(0.85 * RATE, abs=300)
    assert len(edited) == pytest.approx(0.65 * RATE, abs=300)
    assert Edits().is_none
    same, start = Edits().apply(signal, RATE)
    assert np.array_equal(same, signal)
    assert start == 0


@pytest.mark.parametrize(
    "wrong", [{"trim": 1}, {"speed": 0.4}, {"speed": "2"}, {"loudness": 3.0}, {"sample_rate": 1}]
)
def test_bad_edits(wrong: dict) -> None:
    with pytest.raises(ParamError, match=next(iter(wrong))):
        Edits(**wrong)
