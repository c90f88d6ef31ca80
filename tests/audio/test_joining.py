"""Joining speech: no jump at any seam, equal power in a cross-fade, the same samples in blocks or whole."""

from __future__ import annotations

import numpy as np
import pytest

from openbark.audio import Joiner
from openbark.errors import AudioError, ParamError

RATE = 24_000
FADE = 360


def joined(
    parts: list[tuple[np.ndarray, float]], fade: float = 0.015
) -> tuple[np.ndarray, list[int]]:
    joiner = Joiner(RATE, fade)
    blocks, begins = [], []
    for waveform, pause in parts:
        block, begin = joiner.add(waveform)
        joiner.pause(pause)
        blocks.append(block)
        begins.append(begin)
    return np.concatenate([*blocks, joiner.finish()]), begins


def sine(seconds: float, phase: float = 0.0) -> np.ndarray:
    turn = np.arange(int(seconds * RATE)) / RATE
    return (0.9 * np.sin(2 * np.pi * 150 * turn + phase)).astype(np.float32)


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.3])
@pytest.mark.parametrize("phase", [0.0, 1.5, np.pi])
def test_loud_ends_make_no_jump(pause: float, phase: float) -> None:
    whole, _ = joined([(sine(0.2), pause), (sine(0.2, phase), pause), (sine(0.04, phase), 0.0)])
    assert np.abs(np.diff(whole)).max() < 0.1
    assert abs(whole[0]) < 0.05
    assert abs(whole[-1]) < 0.05


def test_cross_faded_noise_keeps_its_power() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, RATE)).astype(np.float32)
    power = np.zeros(FADE)
    for turn in range(50):
        whole, begins = joined([(np.roll(noise[0], turn), 0.0), (np.roll(noise[1], 7 * turn), 0.0)])
        assert begins == [0, RATE - FADE]
        power += whole[RATE - FADE : RATE] ** 2
    assert power.mean() / 50 == pytest.approx(0.01, rel=0.05)
    assert len(whole) == 2 * RATE - FADE


def test_what_lies_between_the_fades_is_untouched() -> None:
    first, second = sine(0.2), sine(0.3, 1.0)
    whole, begins = joined([(first, 0.25), (second, 0.5)])
    assert begins == [0, len(first) + RATE // 4]
    assert np.array_equal(whole[FADE : len(first) - FADE], first[FADE:-FADE])
    start = begins[1]
    assert np.array_equal(whole[start + FADE : start + len(second) - FADE], second[FADE:-FADE])
    assert not whole[len(first) : start].any()
    assert len(whole) == start + len(second) + RATE // 2


def test_the_end_is_known_before_it_is_written() -> None:
    joiner = Joiner(RATE)
    joiner.pause(1.0)
    assert joiner.end == RATE
    _, begins = joiner.add(sine(0.1))
    assert begins == RATE
    assert joiner.end == RATE + 2400


def test_short_and_empty_speech() -> None:
    whole, begins = joined([(sine(0.01), 0.0), (np.zeros(0, np.float32), 0.0), (sine(0.01), 0.0)])
    assert begins == [0, 240, 240]
    assert len(whole) == 480
    plain, _ = joined([(sine(0.1), 0.0), (sine(0.1), 0.0)], fade=0.0)
    assert np.array_equal(plain, np.concatenate([sine(0.1), sine(0.1)]))


def test_bad_values() -> None:
    with pytest.raises(ParamError, match=r"crossfade_seconds is 0\.1; allowed: 0 to 0\.02"):
        Joiner(RATE, 0.1)
    with pytest.raises(AudioError):
        Joiner(RATE).add(np.zeros((2, 3), np.float32))


def test_speech_in_parts_is_the_speech_in_one() -> None:
    generator = np.random.default_rng(3)
    speech = [generator.uniform(-0.5, 0.5, n).astype(np.float32) for n in (5000, 3000)]

    def joined(sizes: list[int]) -> np.ndarray:
        joiner, out = Joiner(24_000), []
        for each in speech:
            parts = np.split(each, np.cumsum(sizes))
            out.append(joiner.add(parts[0])[0])
            out += [joiner.extend(part) for part in parts[1:]]
        return np.concatenate([*out, joiner.finish()])

    whole = joined([])
    for sizes in ([1000], [720, 1, 5, 900], [2000, 500]):
        np.testing.assert_array_equal(joined(sizes), whole)
