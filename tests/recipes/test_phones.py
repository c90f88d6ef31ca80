"""Phones with times become tokens, and tokens phones again."""

from __future__ import annotations

import numpy as np
import pytest

from openbark.errors import TrainingError
from recipes.embedded.synth.kokoro import accent_of
from recipes.embedded.synth.labelled import resampled_f0
from recipes.embedded.synth.phones import (
    N_PITCH,
    N_THIRDS,
    PAUSE,
    UNITS,
    VOCABULARY,
    is_silent,
    median_f0,
    phones_of_tokens,
    timed_phones,
    tokens_of,
)


def _names(units: np.ndarray) -> list[str]:
    return [UNITS[unit] for unit in units]


def test_the_alphabet_has_no_unit_twice() -> None:
    assert len(set(UNITS)) == len(UNITS)
    assert len(UNITS) * N_THIRDS * N_PITCH == VOCABULARY == 1278


def test_stress_and_length_marks_belong_to_vowels() -> None:
    # Edges, then: k, stress, ɑ, length mark, n.
    timed = timed_phones("kˈɑːn", np.array([2, 3, 1, 4, 2, 3, 5], np.uint8))
    assert _names(timed.units) == [PAUSE, "k", "ˈɑ", "n", PAUSE]
    assert np.allclose(np.diff(timed.ends, prepend=0) / 0.025, [2, 3, 7, 3, 5])


def test_neighbouring_pauses_are_one() -> None:
    timed = timed_phones("n.", np.array([1, 2, 3, 4], np.uint8))
    assert _names(timed.units)[-1] == PAUSE
    assert timed.ends[-1] == pytest.approx(0.25)
    ellipsis = timed_phones("n, ", np.array([1, 2, 3, 1, 4], np.uint8))
    assert _names(ellipsis.units) == [PAUSE, "n", PAUSE, " ", PAUSE]


def test_a_phoneme_without_frames_is_dropped() -> None:
    timed = timed_phones("tn", np.array([1, 0, 2, 1], np.uint8))
    assert _names(timed.units) == [PAUSE, "n", PAUSE]


@pytest.mark.parametrize("phonemes", ["ʘ", "kж"])
def test_an_unknown_phoneme_is_named(phonemes: str) -> None:
    with pytest.raises(TrainingError, match=phonemes[-1]):
        timed_phones(phonemes, np.ones(len(phonemes) + 2, np.uint8))


def test_lengths_must_agree() -> None:
    with pytest.raises(TrainingError, match="2 durations for 1 phonemes"):
        timed_phones("n", np.ones(2, np.uint8))


def test_tokens_tell_third_and_pitch() -> None:
    timed = timed_phones("ˈɑs", np.array([2, 0, 6, 4, 2], np.uint8))
    # 14 frames of 25 ms are 17.5 of 20 ms; ɑ rises from the median by more than the highest bound.
    f0 = np.zeros(28, np.float32)
    f0[4:16] = np.linspace(100, 160, 12)
    tokens, owner = tokens_of(timed, f0, median=100.0, n_frames=18)
    units, thirds, pitch = (
        tokens // (N_THIRDS * N_PITCH),
        tokens // N_PITCH % N_THIRDS,
        tokens % N_PITCH,
    )
    vowel = units == UNITS.index("ˈɑ")
    assert [int(t) for t in dict.fromkeys(thirds[vowel])] == [0, 1, 2]
    assert pitch[vowel][0] < pitch[vowel][-1] == 5
    assert not pitch[units == UNITS.index("s")].any()
    assert len(owner) == 18


def test_phones_are_counted_without_stress_and_pauses() -> None:
    timed = timed_phones("ˈɑs ɑ", np.array([1, 0, 4, 3, 1, 4, 1], np.uint8))
    tokens, _ = tokens_of(timed, np.full(28, 120, np.float32), 120.0, 18)
    assert _names(phones_of_tokens(tokens)) == ["ɑ", "s", "ɑ"]


def test_silence_and_median() -> None:
    assert is_silent().sum() == 2
    assert median_f0([np.array([0, 100, 120], np.float32), np.array([140], np.float32)]) == 120
    with pytest.raises(TrainingError, match="voiced"):
        median_f0([np.zeros(4, np.float32)])


def test_pitch_is_never_mixed_with_unvoiced_values() -> None:
    f0 = np.array([30, 200, 200, 30], np.float32)
    found = resampled_f0(f0, 3, 50)
    assert set(found.tolist()) <= {0.0, 200.0}
    assert not resampled_f0(np.full(8, 20, np.float32), 5, 50).any()


def test_the_heaviest_voice_sets_the_accent() -> None:
    assert accent_of({"bf_emma": 0.6, "am_adam": 0.4}) == "british"
    assert accent_of({"bf_emma": 0.4, "am_adam": 0.6}) == "american"
