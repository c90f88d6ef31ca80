"""The benchmark's material, and pocketsphinx on flite's voice where both are installed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from benchmarks.language_model import flat_unigrams
from benchmarks.recogniser import PhraseRecogniser, Recogniser, load_pronunciations
from benchmarks.teacher import Material, prepare_material, speak, teacher_of
from recipes.embedded.synth.sentences import TEST_PROMPTS, sentence_key

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


@pytest.fixture(scope="module")
def pronunciations() -> dict[str, tuple[str, ...]]:
    pytest.importorskip("pocketsphinx")
    return load_pronunciations()


@pytest.fixture(scope="module")
def material(pronunciations: dict[str, tuple[str, ...]]) -> Material:
    return prepare_material(pronunciations, n_sentences=60)


def test_test_set_is_sixty_sentences_that_training_does_not_hold(
    material: Material, pronunciations: dict[str, tuple[str, ...]]
) -> None:
    assert len(material.sentences) == 60
    assert not material.left_out
    training = {" ".join(words) for words in material.training_words}
    assert training.isdisjoint(sentence_key(item.text) for item in material.sentences)
    seen = {word for words in material.training_words for word in words}
    assert {w for item in material.sentences for w in item.words} <= pronunciations.keys()
    assert {w for item in material.sentences for w in item.words} - seen == set()


def test_validation_asks_other_sentences_and_other_prompts(
    material: Material, pronunciations: dict[str, tuple[str, ...]]
) -> None:
    validation = prepare_material(pronunciations, n_sentences=60, validation=True)
    assert tuple(item.text for item in material.prompts) == TEST_PROMPTS
    assert set(validation.sentences).isdisjoint(material.sentences)
    assert set(validation.prompts).isdisjoint(material.prompts)
    assert len(validation.prompts) == 20
    assert validation.phrases == material.phrases
    assert validation.digest != material.digest


def test_phrases_hold_enough_distractors_and_no_two_sound_alike(
    material: Material, pronunciations: dict[str, tuple[str, ...]]
) -> None:
    assert len(material.phrases) - len(material.prompts) >= 80
    sounds = [" ".join(pronunciations[w][0] for w in words) for words in material.phrases]
    assert len(set(sounds)) == len(sounds)


def test_presets_stand_for_the_four_voices() -> None:
    assert [teacher_of(f"en_{i}") for i in range(4)] == ["slt", "rms", "awb", "kal16"]


@needs_flite
def test_the_recogniser_hears_the_teacher(pronunciations: dict[str, tuple[str, ...]]) -> None:
    words = ("open", "the", "green", "window", "paper", "seven", "nobody", "table")
    recogniser = Recogniser(
        {word: pronunciations[word] for word in words}, arpa=flat_unigrams(words).to_arpa()
    )
    waveform = speak("Open the green window.", "rms")
    assert recogniser.hear(waveform, 24_000) == ("open", "the", "green", "window")
    assert recogniser.hear(np.zeros(24_000), 24_000) == ()


@needs_flite
def test_phrases_are_heard_whole(pronunciations: dict[str, tuple[str, ...]]) -> None:
    phrases = [("thank", "you"), ("thanks",), ("good", "morning"), ("no", "problem"), ("water",)]
    recogniser = PhraseRecogniser(pronunciations, phrases)
    for words in (("thank", "you"), ("good", "morning")):
        assert recogniser.hear(speak(" ".join(words) + ".", "rms"), 24_000) == words
