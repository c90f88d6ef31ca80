"""BS.1770-4 on signals whose loudness is known: the recommendation's own, and EBU Tech 3341's, in mono."""

from __future__ import annotations

import math

import numpy as np
import pytest

from openbark.audio.loudness import _FILTER_RATE, _HIGH_PASS, _SHELF, loudness, with_loudness
from openbark.errors import AudioError, ParamError

MONO = -3.01
"""What one channel lacks against the two of EBU's signals."""


def sine(level_db: float, seconds: float, rate: int = 48_000, hertz: float = 1000.0) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_a_full_scale_sine_of_997_hz_has_minus_3_01(rate: int) -> None:
    assert loudness(sine(0, 3, rate, 997.0), rate) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
    ids=["3341-1", "3341-2", "3341-3", "3341-4", "3341-5"],
)
@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_ebu_3341(parts: list[tuple[float, float]], expected: float, rate: int) -> None:
    signal = np.concatenate([sine(level, seconds, rate) for level, seconds in parts])
    assert loudness(signal, rate) == pytest.approx(expected + MONO, abs=0.1)


def test_the_filter_is_the_recommendation_s_recursion() -> None:
    noise = np.random.default_rng(0).standard_normal(_FILTER_RATE)
    filtered = noise
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        past, out = [0.0] * 4, []
        for value in filtered.tolist():
            result = (
                numerator[0] * value + numerator[1] * past[0] + numerator[2] * past[1]
                - denominator[1] * past[2] - denominator[2] * past[3]
            )  # fmt: skip
            past = [value, past[0], result, past[2]]
            out.append(result)
        filtered = np.array(out)
    step = _FILTER_RATE // 10
    blocks = [(filtered[i * step : (i + 4) * step] ** 2).mean() for i in range(7)]
    expected = -0.691 + 10 * np.log10(np.mean(blocks))
    assert loudness(noise.astype(np.float32), _FILTER_RATE) == pytest.approx(expected, abs=1e-3)


def test_silence_and_very_short_sounds() -> None:
    assert loudness(np.zeros(24_000, dtype=np.float32), 24_000) == -math.inf
    assert loudness(np.zeros(0, dtype=np.float32), 24_000) == -math.inf
    assert loudness(sine(-80, 2), 48_000) == -math.inf
    assert loudness(sine(-20, 0.2), 48_000) == pytest.approx(-20 + MONO, abs=0.5)


def test_long_signals_are_measured_in_parts_without_seams() -> None:
    signal = np.tile(sine(-20, 1.0), 30)
    assert loudness(signal, 48_000) == pytest.approx(
        loudness(signal[: 48_000 * 2], 48_000), abs=0.01
    )


@pytest.mark.parametrize("target", [-30.0, -23, -16.0])
def test_with_loudness_reaches_the_target(target: float) -> None:
    signal = sine(-20, 2, 24_000) * np.linspace(0.3, 1, 48_000, dtype=np.float32)
    found = with_loudness(signal, 24_000, target)
    assert loudness(found, 24_000) == pytest.approx(target, abs=0.05)
    assert found.dtype == np.float32


def test_a_gain_stops_below_full_scale_and_never_lowers_what_was_louder() -> None:
    peaky = sine(-40, 2, 24_000)
    peaky[1000] = 0.5
    found = with_loudness(peaky, 24_000, -10.0)
    assert np.abs(found).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    assert loudness(found, 24_000) < -20
    full = sine(-40, 2, 24_000)
    full[1000] = 1.0
    assert np.array_equal(with_loudness(full, 24_000, -10.0), full)
    silent = np.zeros(1000, dtype=np.float32)
    assert np.array_equal(with_loudness(silent, 24_000, -16.0), silent)


@pytest.mark.parametrize("target", [0.0, -4.9, -71.0, math.nan, True, "loud"])
def test_bad_targets(target: object) -> None:
    with pytest.raises(ParamError, match="LUFS"):
        with_loudness(sine(-20, 1), 48_000, target)  # type: ignore[arg-type]
    with pytest.raises(AudioError):
        loudness(np.zeros((2, 9), dtype=np.float32), 48_000)
