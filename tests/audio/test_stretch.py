"""Speed changes, pitch does not; blocks and a whole give the same samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openbark.audio import read_audio
from openbark.audio.edits import Stretcher, stretch
from openbark.errors import AudioError, ParamError

RATE = 24_000
SPEEDS = [0.5, 0.75, 0.9, 1.1, 1.37, 2.0]


def sine(hertz: float, seconds: float) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def peak_hertz(signal: np.ndarray) -> float:
    """Frequency of the strongest partial, between bins."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 1 << 18))
    return float(np.argmax(spectrum)) * RATE / (1 << 18)


def pitches(signal: np.ndarray) -> np.ndarray:
    """Pitch of every clearly voiced frame of 50 ms, by autocorrelation."""
    size, found = 1200, []
    for start in range(0, len(signal) - size, size // 2):
        window = signal[start : start + size] - signal[start : start + size].mean()
        correlation = np.correlate(window, window, "full")[size - 1 :]
        correlation /= correlation[0] * (1 - np.arange(size) / size) + 1e-9
        lag = int(np.argmax(correlation[60:320])) + 60
        if correlation[lag] > 0.8 and np.sqrt((window**2).mean()) > 0.02:
            a, b, c = correlation[lag - 1 : lag + 2]
            found.append(RATE / (lag + (a - c) / (2 * (a - 2 * b + c))))
    return np.array(found)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("hertz", [80.0, 220.0, 1000.0])
def test_a_sine_keeps_its_pitch_within_one_percent(hertz: float, speed: float) -> None:
    found = stretch(sine(hertz, 2.0), RATE, speed)
    assert len(found) == round(2.0 * RATE / speed)
    inner = found[RATE // 20 : -RATE // 20]
    assert peak_hertz(inner) == pytest.approx(hertz, rel=0.01)
    assert np.sqrt((inner**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("speed", SPEEDS)
def test_speech_keeps_its_pitch_within_one_percent(speed: float) -> None:
    speech, rate = read_audio("docs/audio/hello.flac")
    assert rate == RATE
    before, after = pitches(speech), pitches(stretch(speech, RATE, speed))
    assert len(before) > 20
    assert np.median(after) == pytest.approx(np.median(before), rel=0.01)


def test_speed_one_is_the_same_samples() -> None:
    signal = sine(200, 0.5)
    same = stretch(signal, RATE, 1)
    assert np.array_equal(same, signal)
    assert same is not signal


@given(st.lists(st.integers(1, 6000), min_size=1, max_size=12), st.sampled_from(SPEEDS))
def test_blocks_give_the_samples_of_the_whole(sizes: list[int], speed: float) -> None:
    rng = np.random.default_rng(0)
    signal = (sine(170, 0.8) + 0.05 * rng.standard_normal(round(0.8 * RATE))).astype(np.float32)
    stretcher = Stretcher(RATE, speed)
    parts, position = [], 0
    for size in [*sizes, len(signal)]:
        parts.append(stretcher.push(signal[position : position + size]))
        position += size
    parts.append(stretcher.finish())
    assert np.array_equal(np.concatenate(parts), stretch(signal, RATE, speed))
    assert len(stretcher.finish()) == 0
    with pytest.raises(AudioError, match="finished"):
        stretcher.push(signal)


def test_a_stream_comes_out_as_it_goes_in() -> None:
    stretcher = Stretcher(RATE, 1.5)
    out = [len(stretcher.push(sine(200, 0.1))) for _ in range(10)]
    assert sum(out) > 0.85 * RATE / 1.5
    assert len(stretcher._input) < 0.2 * RATE


@pytest.mark.parametrize("length", [0, 1, 300, 721])
@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_very_short_signals_have_the_exact_length(length: int, speed: float) -> None:
    found = stretch(np.full(length, 0.5, dtype=np.float32), RATE, speed)
    assert len(found) == round(length / speed)


@pytest.mark.parametrize("speed", [0.0, 0.49, 2.01, -1, float("nan"), True, "fast"])
def test_bad_speeds(speed: object) -> None:
    with pytest.raises(ParamError, match="speed"):
        stretch(sine(200, 0.1), RATE, speed)  # type: ignore[arg-type]
