"""How well clips are understood: word error rates of sentences, prompts told apart.

Holds the three recognisers (bigram, flat unigram, phrases) of one material. The same object
listens to the teacher and to the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.language_model import (
    NGrams,
    choose_vocabulary,
    count_bigrams,
    flat_unigrams,
)
from benchmarks.recogniser import PhraseRecogniser, Pronunciations, Recogniser
from benchmarks.teacher import Material
from benchmarks.word_errors import (
    Score,
    bootstrap_difference,
    bootstrap_interval,
    edit_distance,
    pooled_rate,
)

__all__ = ["Heard", "Listener", "compare_word_errors", "summarise_prompts", "summarise_word_errors"]

N_DISTRACTOR_WORDS = 300
LANGUAGE_MODELS = ("bigram", "unigram")

# scores[voice][sentence index]
VoiceScores = Mapping[str, Sequence[Score]]


@dataclass(frozen=True)
class Heard:
    """What the recogniser made of one sentence under one language model."""

    words: tuple[str, ...]
    score: Score


class Listener:
    """The recognisers of one material; the vocabulary is closed over its sentences."""

    def __init__(
        self, material: Material, pronunciations: Pronunciations, *, seed: int = 0
    ) -> None:
        self._material = material
        self.vocabulary = choose_vocabulary(
            (item.words for item in material.sentences),
            material.training_words,
            pronunciations,
            n_distractors=N_DISTRACTOR_WORDS,
            seed=seed,
        )
        models: dict[str, NGrams] = {
            "bigram": count_bigrams(self.vocabulary, material.training_words),
            "unigram": flat_unigrams(self.vocabulary),
        }
        dictionary = {word: pronunciations[word] for word in self.vocabulary}
        self._sentences = {
            name: Recogniser(dictionary, arpa=model.to_arpa()) for name, model in models.items()
        }
        self._phrases = PhraseRecogniser(pronunciations, material.phrases)

    def sentence(
        self, index: int, waveform: npt.NDArray[np.floating], sample_rate: int
    ) -> dict[str, Heard]:
        """Listen to sentence `index` of the material under each language model."""
        expected = self._material.sentences[index].words
        found: dict[str, Heard] = {}
        for name, recogniser in self._sentences.items():
            words = recogniser.hear(waveform, sample_rate)
            found[name] = Heard(words, Score(edit_distance(expected, words), len(expected)))
        return found

    def prompt(self, waveform: npt.NDArray[np.floating], sample_rate: int) -> tuple[str, ...]:
        """The phrase heard, among the material's phrases; empty if none fits."""
        return self._phrases.hear(waveform, sample_rate)


def summarise_word_errors(scores: VoiceScores) -> dict[str, Any]:
    """Rate and 95 % interval of every voice, and of all under "all"."""
    result = {
        voice: _rate_and_interval([[score] for score in row]) for voice, row in scores.items()
    }
    return {**result, "all": _rate_and_interval(_by_sentence(scores))}


def compare_word_errors(model: VoiceScores, teacher: VoiceScores) -> dict[str, Any]:
    """Rate of the model less that of the teacher, over all voices, with its 95 % interval."""
    first, second = _by_sentence(model), _by_sentence(teacher)
    flat = [[score for group in groups for score in group] for groups in (first, second)]
    low, high = bootstrap_difference(first, second)
    return {"difference": pooled_rate(flat[0]) - pooled_rate(flat[1]), "low": low, "high": high}


def summarise_prompts(
    expected: Sequence[tuple[str, ...]], heard: Mapping[str, Sequence[tuple[str, ...]]]
) -> dict[str, Any]:
    """Share of prompts heard exactly, by voice and in all, and what went wrong."""
    wrong = [
        {"voice": voice, "said": " ".join(words), "heard": " ".join(got)}
        for voice, row in heard.items()
        for words, got in zip(expected, row, strict=True)
        if words != got
    ]
    n_all = sum(len(row) for row in heard.values())
    by_voice = {
        voice: 1.0 - sum(miss["voice"] == voice for miss in wrong) / len(row)
        for voice, row in heard.items()
    }
    return {**by_voice, "all": 1.0 - len(wrong) / n_all, "wrong": wrong}


def _rate_and_interval(groups: Sequence[Sequence[Score]]) -> dict[str, float]:
    low, high = bootstrap_interval(groups)
    flat = [score for group in groups for score in group]
    return {"rate": pooled_rate(flat), "low": low, "high": high}


def _by_sentence(scores: VoiceScores) -> list[list[Score]]:
    return [list(group) for group in zip(*scores.values(), strict=True)]
