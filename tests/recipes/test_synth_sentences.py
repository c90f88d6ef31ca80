"""Generated texts: deterministic, within limits, and no held-out sentence in training."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from openbark.errors import ParamError, TrainingError
from recipes.embedded.synth.grammar import Grammar
from recipes.embedded.synth.inflect import Inflector, with_articles
from recipes.embedded.synth.sentences import (
    MAX_CHARACTERS,
    TEST_PROMPTS,
    SentenceSets,
    load_spelling_words,
    make_sentence_sets,
    sentence_key,
    words_of,
)

SPELLING = ("aardvark", "zephyr", "quixotic", "brine", "gadfly", "mollusk", "tundra")


def make_sets(n_train: int = 3000, seed: int = 0) -> SentenceSets:
    return make_sentence_sets(n_train, 60, 60, seed=seed, spelling_words=SPELLING)


@pytest.fixture(scope="module")
def sets() -> SentenceSets:
    return make_sets()


def test_same_seed_same_sentences(sets: SentenceSets) -> None:
    assert make_sets() == sets
    assert make_sets(seed=1) != sets


def test_sizes_and_lengths(sets: SentenceSets) -> None:
    assert (len(sets.train), len(sets.valid), len(sets.test)) == (3000, 60, 60 + len(TEST_PROMPTS))
    lengths = [len(s.text) for s in (*sets.train, *sets.valid, *sets.test)]
    assert max(lengths) <= MAX_CHARACTERS
    assert min(lengths) >= 1
    assert 40 <= sum(len(s.text) for s in sets.train) / len(sets.train) <= 50


def test_no_held_out_sentence_in_training_and_every_word_seen(sets: SentenceSets) -> None:
    held = [s for s in (*sets.valid, *sets.test) if s.kind != "prompt"]
    keys = [sentence_key(s.text) for s in held]
    assert len(set(keys)) == len(keys) == 120
    assert not set(keys) & {sentence_key(s.text) for s in sets.train}
    seen = {word for s in sets.train for word in words_of(s.text)}
    for sentence in (*sets.valid, *sets.test):
        assert seen.issuperset(words_of(sentence.text)), sentence.text


def test_held_out_sentences_are_natural(sets: SentenceSets) -> None:
    known = set(Grammar().words())
    assert not known & set(SPELLING)
    for sentence in (*sets.valid, *sets.test[:60]):
        words = words_of(sentence.text)
        assert 4 <= len(words) <= 14
        assert not set(words) & set(SPELLING)
        assert sentence.text == sentence.spoken
    assert tuple(s.text for s in sets.test[60:]) == TEST_PROMPTS


def test_the_mix(sets: SentenceSets) -> None:
    shares = {kind: n / len(sets.train) for kind, n in Counter(s.kind for s in sets.train).items()}
    assert shares["short"] == pytest.approx(0.12, abs=0.03)
    assert shares["list"] == pytest.approx(0.10, abs=0.03)
    assert shares["spelling"] == pytest.approx(0.08, abs=0.03)
    assert shares["tag"] == pytest.approx(0.02, abs=0.01)
    lower = sum(s.text.islower() for s in sets.train if s.kind == "sentence")
    assert 0.04 < lower / len(sets.train) < 0.10
    assert any(s.text[-1].isalpha() for s in sets.train if s.kind == "sentence")
    assert any(w.isupper() and len(w) > 2 for s in sets.train for w in s.text.split())


def test_texts_hold_plain_characters_only(sets: SentenceSets) -> None:
    used = set("".join(s.text for s in sets.train))
    assert not any(c.isdigit() for c in used)
    assert used <= set(" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,?!'-:;\"[]")


def test_tags_are_read_but_not_spoken(sets: SentenceSets) -> None:
    tagged = [s for s in sets.train if s.kind == "tag"]
    assert tagged
    for sentence in tagged:
        assert "[" in sentence.text and "]" in sentence.text
        assert "[" not in sentence.spoken
        assert words_of(sentence.text) == words_of(sentence.spoken)


def test_case_changes_do_not_change_what_is_spoken(sets: SentenceSets) -> None:
    for sentence in sets.train:
        assert words_of(sentence.text) == words_of(sentence.spoken)


def test_a_small_training_set_covers_the_held_out_words() -> None:
    sets = make_sentence_sets(40, 2, 2, seed=3, n_prompts=4, spelling_words=())
    assert len(sets.train) == 40
    seen = {word for s in sets.train for word in words_of(s.text)}
    assert all(seen.issuperset(words_of(s.text)) for s in (*sets.valid, *sets.test))
    assert not any(s.kind == "spelling" for s in sets.train)


def test_too_small_a_training_set_is_refused() -> None:
    with pytest.raises(TrainingError, match="cannot cover"):
        make_sentence_sets(10, 60, 60, seed=0, spelling_words=())


def test_spelling_words_are_plain(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "words"
    path.write_text("apple\napple's\nBerlin\nox\ncafé\nantidisestablishment\nzoo\n")
    assert load_spelling_words(path) == ("apple", "zoo")
    assert load_spelling_words(tmp_path / "absent") == ()


def test_every_template_and_slot_fills() -> None:
    grammar, rng = Grammar(), Random(0)
    assert len(grammar.templates) >= 60
    assert len(grammar.words()) >= 1500
    for template in grammar.templates:
        text = grammar.fill(template, rng)
        assert "<" not in text and ">" not in text
        assert not text[0].islower()


@pytest.mark.parametrize(
    ("phrase", "form", "expected"),
    [
        ("dog", "s", "dogs"),
        ("box", "s", "boxes"),
        ("berry", "s", "berries"),
        ("toy", "s", "toys"),
        ("orange juice", "s", "orange juices"),
        ("wolf", "s", "wolves"),
        ("try", "z", "tries"),
        ("go", "z", "goes"),
        ("pick up", "ed", "picked up"),
        ("carry", "ed", "carried"),
        ("stop", "ed", "stopped"),
        ("visit", "ed", "visited"),
        ("write", "ed", "wrote"),
        ("write", "en", "written"),
        ("write", "ing", "writing"),
        ("lie", "ing", "lying"),
        ("see", "ing", "seeing"),
        ("run", "ing", "running"),
    ],
)
def test_inflection(phrase: str, form: str, expected: str) -> None:
    assert Inflector().inflect(phrase, form) == expected


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ParamError, match="unknown form 'ly'"):
        Inflector().inflect("go", "ly")


def test_articles_follow_the_sound() -> None:
    text = 'a apple, a uniform, a hour, a dog and a "old" one'
    assert with_articles(text) == 'an apple, a uniform, an hour, a dog and an "old" one'
