"""Filters, draws and the noise behind them (parity S33, S34, B6)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.errors import CheckpointCorruptError
from openbark.params import SamplingParams
from openbark.stages.sampling import (
    Noise,
    Stage,
    draw,
    filter_logits,
    philox4x32,
    philox4x32_single,
    probabilities,
)

# Random123's known answers for philox4x32-10 (kat_vectors of the SC 2011 paper's distribution).
KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def _words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_answers(counter: str, key: str, expected: str) -> None:
    low, high = _words(key)
    found = philox4x32(np.array([_words(counter)], dtype=np.uint32), (low, high))
    assert found.tolist() == [_words(expected)]


def test_philox_rows_are_independent() -> None:
    counters = np.array([_words(row[0]) for row in KNOWN_ANSWERS], dtype=np.uint32)
    together = philox4x32(counters, (5, 6))
    alone = [philox4x32(row[None], (5, 6))[0] for row in counters]
    assert np.array_equal(together, np.stack(alone))


def test_noise_is_built_from_philox_as_documented() -> None:
    seed = (0x299F31D0 << 32) | 0xA4093822
    words = philox4x32(np.array([[7, 3, 2, 0]], dtype=np.uint32), (0xA4093822, 0x299F31D0))[0]
    bits = ((int(words[0]) << 32) | int(words[1])) >> 11
    found = Noise(seed).uniforms(Stage.FINE, 7, np.array([3]))
    assert found[0] == bits / 2**53


def test_noise_never_changes() -> None:
    """Seeds that people wrote down must keep giving the same speech."""
    assert Noise(7).uniform(Stage.SEMANTIC, 0) == 0.9545971261687
    assert Noise(2**64 - 1).uniform(Stage.COARSE, 5) == 0.03339749527904079
    assert Noise(0).uniforms(Stage.FINE, 3, np.array([1000]))[0] == 0.8245544151204792


def test_noise_depends_on_every_part_of_its_address() -> None:
    rows = np.arange(50)
    base = Noise(1).uniforms(Stage.FINE, 4, rows)
    assert len(set(base.tolist())) == 50
    for other in (
        Noise(2).uniforms(Stage.FINE, 4, rows),
        Noise(1 + 2**32).uniforms(Stage.FINE, 4, rows),
        Noise(1).uniforms(Stage.FINE, 5, rows),
        Noise(1).uniforms(Stage.COARSE, 4, rows),
    ):
        assert not np.any(base == other)
    assert np.array_equal(base[20:30], Noise(1).uniforms(Stage.FINE, 4, rows[20:30]))


def test_noise_is_uniform() -> None:
    numbers = Noise(123).uniforms(Stage.FINE, 0, np.arange(20_000))
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    # Chi-square with 19 degrees of freedom: 43.8 is the 0.1 % point.
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8


def _filtered(logits: list[float], **settings_: object) -> list[int]:
    """Indices that survive."""
    kept = filter_logits(np.array([logits]), SamplingParams(**settings_))  # type: ignore[arg-type]
    return np.flatnonzero(np.isfinite(kept[0])).tolist()


def _log(probabilities_: list[float]) -> list[float]:
    return [math.log(p) for p in probabilities_]


def test_top_k_keeps_ties() -> None:
    assert _filtered([1.0, 3.0, 2.0, 2.0, 0.0], top_k=2) == [1, 2, 3]
    assert _filtered([1.0, 3.0, 2.0, 2.0, 0.0], top_k=1) == [1]
    assert _filtered([1.0, 3.0, 2.0], top_k=100) == [0, 1, 2]


def test_top_p_keeps_the_token_that_passes_p() -> None:
    logits = _log([0.5, 0.3, 0.15, 0.05])
    assert _filtered(logits, top_p=0.4) == [0]
    assert _filtered(logits, top_p=0.6) == [0, 1]
    assert _filtered(logits, top_p=0.81) == [0, 1, 2]
    assert _filtered(logits, top_p=1.0) == [0, 1, 2, 3]


def test_top_p_keeps_the_first_always() -> None:
    assert _filtered(_log([0.1, 0.7, 0.2]), top_p=1e-9) == [1]


def test_top_p_comes_before_temperature() -> None:
    """S33: at temperature 0.1 the first token has nearly everything, but top_p saw the plain logits."""
    logits = np.array([_log([0.5, 0.3, 0.15, 0.05])])
    hot = probabilities(logits, SamplingParams(temperature=0.1, top_p=0.6))
    assert (hot[0] > 0).tolist() == [True, True, False, False]
    flat = probabilities(logits, SamplingParams(temperature=100.0, top_p=0.6))
    assert (flat[0] > 0).tolist() == [True, True, False, False]
    assert flat[0, 0] == pytest.approx(0.5, abs=0.01)


def test_top_p_comes_before_top_k() -> None:
    """After top_k=2 the first of (.4, .3) would have .57 and pass p alone; before it, it has not."""
    logits = _log([0.4, 0.3, 0.2, 0.1])
    assert _filtered(logits, top_p=0.5, top_k=2) == [0, 1]
    assert _filtered(logits, top_p=0.5, top_k=1) == [0]


def test_temperature_divides_logits() -> None:
    logits = np.array([[0.0, 1.0, 2.0]])
    found = probabilities(logits, SamplingParams(temperature=0.5))
    weights = np.exp(np.array([0.0, 2.0, 4.0]))
    np.testing.assert_allclose(found[0], weights / weights.sum(), rtol=1e-12)


@pytest.mark.parametrize("temperature", [5e-324, 1e-310, 1e-20, 1e300])
def test_extreme_temperatures_stay_finite(temperature: float) -> None:
    found = probabilities(np.array([[3.0, -400.0, 9.0, 9.0]]), SamplingParams(temperature))
    assert np.isfinite(found).all()
    expected = [0, 0, 0.5, 0.5] if temperature < 1 else [0.25] * 4
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def test_greedy_takes_the_first_of_equals() -> None:
    found = probabilities(np.array([[1.0, 5.0, 5.0], [2.0, 0.0, 1.0]]), SamplingParams(0.0))
    assert found.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_filters_leave_their_input_alone() -> None:
    logits = np.array([[1.0, 2.0, 3.0]])
    filter_logits(logits, SamplingParams(top_k=1, top_p=0.1))
    assert logits.tolist() == [[1.0, 2.0, 3.0]]


def test_draw_inverts_the_distribution() -> None:
    distribution = np.array([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]] * 6)
    uniforms = np.array([0.0, 0.2499, 0.25, 0.7499, 0.75, np.nextafter(1.0, 0.0)])
    assert draw(distribution, uniforms).tolist() == [1, 1, 3, 3, 4, 4]


def test_draw_follows_the_distribution() -> None:
    distribution = probabilities(np.array([[0.0, 1.0, -1.0, 2.0]]), SamplingParams(1.0))
    n = 20_000
    tokens = draw(
        np.repeat(distribution, n, axis=0), Noise(9).uniforms(Stage.FINE, 0, np.arange(n))
    )
    counts = np.bincount(tokens, minlength=4)
    expected = distribution[0] * n
    # Chi-square with 3 degrees of freedom: 16.3 is the 0.1 % point.
    assert ((counts - expected) ** 2 / expected).sum() < 16.3


@settings(max_examples=60)
@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=12),
    st.floats(0, 5),
    st.none() | st.integers(1, 14),
    st.none() | st.floats(0.01, 1.0),
    st.floats(0, 1, exclude_max=True),
)
def test_a_draw_is_always_a_kept_token(
    logits: list[float], temperature: float, top_k: int | None, top_p: float | None, uniform: float
) -> None:
    sampling = SamplingParams(temperature, top_k, top_p)
    row = np.array([logits])
    distribution = probabilities(row, sampling)
    assert distribution.sum() == pytest.approx(1.0)
    assert distribution[0, row[0].argmax()] > 0
    token = int(draw(distribution, np.array([uniform]))[0])
    assert distribution[0, token] > 0
    if temperature > 0:
        assert np.isfinite(filter_logits(row, sampling)[0, token])


def test_logits_that_are_not_numbers_are_refused() -> None:
    logits = np.zeros((1, 8))
    logits[0, 3] = np.nan
    with pytest.raises(CheckpointCorruptError, match="NaN"):
        probabilities(logits, SamplingParams(temperature=0.0))


@given(
    st.integers(0, 2**64 - 1),
    st.sampled_from(list(Stage)),
    st.integers(0, 2**32 - 1),
)
def test_one_number_equals_the_same_number_among_many(seed: int, stage: Stage, step: int) -> None:
    noise = Noise(seed)
    assert noise.uniform(stage, step) == noise.uniforms(stage, step, np.zeros(1, dtype=np.int64))[0]


def test_single_philox_passes_the_known_answers() -> None:
    ones = 0xFFFFFFFF
    expected = (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
    assert philox4x32_single((ones, ones, ones, ones), (ones, ones)) == expected
    assert philox4x32_single((0, 0, 0, 0), (0, 0)) == (
        0x6627E8D5,
        0xE169C58D,
        0xBC57AC4C,
        0x9B00DBD8,
    )
