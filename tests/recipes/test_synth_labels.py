"""Semantic tokens, the letter guide and the pitch they rest on, on hand-made input."""

from __future__ import annotations

import numpy as np
import pytest

from openbark.errors import TrainingError
from recipes.embedded.synth.align import align_letters, fit_letter_table, spoken_positions
from recipes.embedded.synth.labels import (
    N_PITCH_BINS,
    N_THIRDS,
    PAUSE,
    PHONES,
    SEMANTIC_VOCAB_SIZE,
    phone_frames,
    phone_ids,
    phones_of,
    pitch_edges,
    semantic_tokens,
)
from recipes.embedded.synth.pitch import fundamental_frequency

EDGES = np.log([100.0, 120.0, 140.0])
SILENT = np.array([name == PAUSE for name in PHONES])


def test_the_vocabulary_follows_from_the_inventory() -> None:
    assert len(set(PHONES)) == len(PHONES) == 41
    assert SEMANTIC_VOCAB_SIZE == 41 * N_THIRDS * N_PITCH_BINS == 492


def test_tokens_of_a_hand_made_phone_list() -> None:
    # pau 0-3, aa 3-9 at 150 Hz (bin 3), s 9-12 unvoiced.
    f0 = np.array([0, 0, 0, 150, 150, 150, 150, 0, 150, 0, 0, 0], np.float32)
    tokens = semantic_tokens(("pau", "aa", "s"), (0.06, 0.18, 0.24), f0, EDGES, 12)
    aa, s = PHONES.index("aa"), PHONES.index("s")
    expected = [(0 * 3 + t) * 4 for t in (0, 1, 2)]
    expected += [(aa * 3 + t) * 4 + 3 for t in (0, 0, 1, 1, 2, 2)]
    expected += [(s * 3 + t) * 4 for t in (0, 1, 2)]
    assert tokens.dtype == np.int16
    assert tokens.tolist() == expected
    assert phones_of(tokens).tolist() == [0, aa, s]


@pytest.mark.parametrize(("hz", "expected"), [(90, 0), (110, 1), (130, 2), (200, 3), (0, 0)])
def test_pitch_bins_are_relative_to_the_edges(hz: float, expected: int) -> None:
    tokens = semantic_tokens(("aa",), (0.1,), np.full(5, hz), EDGES, 5)
    assert set((tokens % N_PITCH_BINS).tolist()) == {expected}


def test_missing_pitch_frames_repeat_the_last_one() -> None:
    tokens = semantic_tokens(("aa",), (0.1,), np.array([130.0]), EDGES, 5)
    assert set((tokens % N_PITCH_BINS).tolist()) == {2}


def test_a_phone_shorter_than_a_frame_keeps_one() -> None:
    ends = (0.10, 0.101, 0.102, 0.2)
    assert phone_frames(ends, 10).tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 3, 3]
    # Room is taken from the neighbours before when the end is near.
    assert phone_frames((0.18, 0.181, 0.2), 10).tolist() == [0] * 8 + [1, 2]
    assert phone_frames((0.2, 0.2, 0.2), 3).tolist() == [0, 1, 2]


def test_no_phone_is_lost() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        names = [PHONES[i] for i in rng.permutation(len(PHONES))[:20]]
        ends = np.cumsum(rng.exponential(0.05, 20))
        n_frames = int(np.ceil(ends[-1] * 50)) + 10
        tokens = semantic_tokens(names, ends, np.zeros(n_frames), EDGES, n_frames)
        assert [PHONES[p] for p in phones_of(tokens)] == names


def test_a_repeated_phone_counts_twice() -> None:
    tokens = semantic_tokens(("n", "n"), (0.08, 0.16), np.zeros(8), EDGES, 8)
    assert phones_of(tokens).tolist() == [PHONES.index("n")] * 2


def test_more_phones_than_frames_is_refused() -> None:
    with pytest.raises(TrainingError, match="3 phones do not fit into 2 frames"):
        phone_frames((0.01, 0.02, 0.03), 2)


def test_unknown_phones_are_named() -> None:
    with pytest.raises(TrainingError, match="'q'"):
        phone_ids(["aa", "q"])


def test_pitch_edges_are_quartiles_of_the_voiced() -> None:
    hz = np.exp(np.arange(1.0, 6.0))
    np.testing.assert_allclose(pitch_edges([0, *hz, 0]), [2, 3, 4])
    with pytest.raises(TrainingError, match="voiced"):
        pitch_edges([0, 0, 100])


@pytest.mark.parametrize("hz", [70.0, 110.0, 180.0, 320.0])
@pytest.mark.parametrize("sample_rate", [16_000, 24_000])
def test_pitch_of_a_buzz(hz: float, sample_rate: int) -> None:
    time = np.arange(sample_rate) / sample_rate
    buzz = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 9))
    f0 = fundamental_frequency((0.2 * buzz).astype(np.float32), sample_rate)
    assert f0.shape == (50,)
    np.testing.assert_allclose(f0[3:-3], hz, rtol=0.02)


def test_pitch_follows_a_glide() -> None:
    hz = np.linspace(100, 200, 48_000)
    glide = 0.3 * np.sin(2 * np.pi * np.cumsum(hz) / 24_000)
    f0 = fundamental_frequency(glide.astype(np.float32), 24_000)
    np.testing.assert_allclose(f0[5:-5], hz[240::480][5:-5], rtol=0.03)


def test_silence_and_noise_have_no_pitch() -> None:
    assert not fundamental_frequency(np.zeros(24_000, np.float32), 24_000).any()
    noise = 0.1 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    high = np.diff(noise, n=3, prepend=[0, 0, 0]).astype(np.float32)
    assert (fundamental_frequency(high, 24_000) > 0).mean() < 0.3


def test_spoken_positions_skip_tags() -> None:
    assert spoken_positions("a [b] c") == (0, 1, 5, 6)
    assert spoken_positions("[b]") == ()
    assert spoken_positions("a] b") == (0, 1, 2, 3)


TOY = {
    "Bad cat.": "pau b ae d k ae t pau",
    "cab": "pau k ae b pau",
    "Shed, bat": "pau sh eh d pau b ae t pau",
    "fetched": "pau f eh ch t pau",
    "Fish": "pau f ih sh pau",
    "ship": "pau sh ih p pau",
    "hat": "pau hh ae t pau",
    "bits": "pau b ih t s pau",
    "sad pets": "pau s ae d p eh t s pau",
    "fix": "pau f ih k s pau",
    "six kids": "pau s ih k s k ih d z pau",
    "dad": "pau d ae d pau",
    "beds": "pau b eh d z pau",
}


def test_alignment_on_a_toy_lexicon() -> None:
    pairs = [(text, phone_ids(names.split())) for text, names in TOY.items()] * 4
    found = dict(zip(TOY, align_letters(fit_letter_table(pairs, SILENT), pairs), strict=False))
    assert found["Bad cat."].tolist() == [-1, 0, 1, 2, 4, 5, 6, -1]
    assert found["dad"].tolist() == [-1, 0, 1, 2, -1]
    assert found["beds"].tolist() == [-1, 0, 1, 2, 3, -1]
    assert found["fix"].tolist() == [-1, 0, 1, 2, 2, -1]


def test_alignment_is_monotone_and_avoids_tags() -> None:
    pairs = [(text, phone_ids(names.split())) for text, names in TOY.items()]
    table = fit_letter_table(pairs, SILENT)
    text = "[laughs] Bad [sighs] cat."
    (letters,) = align_letters(table, [(text, phone_ids(TOY["Bad cat."].split()))])
    inner = letters[1:-1]
    assert (np.diff(inner) >= 0).all()
    assert "".join(text[i] for i in inner) == "Badcat"
    assert set(inner.tolist()) <= set(spoken_positions(text))


def test_alignment_needs_texts() -> None:
    with pytest.raises(TrainingError, match="at least one"):
        fit_letter_table([], SILENT)


def test_vowels_beside_spaces_stay_on_their_letters() -> None:
    # Only short words before spaces: counts alone would put the vowel of "the" on the space.
    toy = {
        "the bat": "pau dh ax b ae t pau",
        "the cab": "pau dh ax k ae b pau",
        "the dad": "pau dh ax d ae d pau",
        "the fish, the ship": "pau dh ax f ih sh pau dh ax sh ih p pau",
    }
    pairs = [(text, phone_ids(names.split())) for text, names in toy.items()] * 4
    for (text, phones), letters in zip(
        pairs, align_letters(fit_letter_table(pairs, SILENT), pairs), strict=True
    ):
        for phone, index in zip(phones, letters, strict=True):
            if PHONES[phone] != "pau":
                assert text[index].isalpha()
            elif index >= 0:
                assert not text[index].isalpha()
