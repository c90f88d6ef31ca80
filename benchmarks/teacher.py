"""What is said in the quality benchmark, and how the teacher (flite) says it.

Draws the same held-out sentences as the embedded recipe, from its options alone, and speaks them
with flite. Needs the flite program, not a corpus on disk.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

from benchmarks.recogniser import Pronunciations
from recipes.embedded.synth.corpus import CorpusOptions
from recipes.embedded.synth.grammar import Grammar
from recipes.embedded.synth.sentences import (
    TEST_PROMPTS,
    Sentence,
    make_sentence_sets,
    words_of,
)
from recipes.embedded.synth.speak import FLITE_VOICES, SAMPLE_RATE, speak_flite
from recipes.embedded.synth.utterances import TARGET_LOUDNESS, loudness

__all__ = [
    "FLITE_VOICES",
    "SAMPLE_RATE",
    "Item",
    "Material",
    "prepare_material",
    "speak",
    "teacher_of",
]

N_DISTRACTOR_PHRASES = 100
_PROSE = ("sentence", "short")
_PEAK_LIMIT = 0.95


@dataclass(frozen=True)
class Item:
    """One text to speak: as the model reads it, as flite is told it, and its words."""

    text: str
    spoken: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """Everything said or listened for.

    Attributes:
        sentences: held-out sentences.
        prompts: phrases of one or two words, to be told from all `phrases`.
        phrases: words of each phrase the recogniser chooses from, the prompts included; no two
            sound alike.
        training_words: words of each training sentence, for the language model.
        fitting_texts: training sentences for the speaker measure; none is a held-out one.
        left_out: held-out sentences not used because a word has no pronunciation.
    """

    sentences: tuple[Item, ...]
    prompts: tuple[Item, ...]
    phrases: tuple[tuple[str, ...], ...]
    training_words: tuple[tuple[str, ...], ...]
    fitting_texts: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Short hash of the sentences and prompts: equal digests were asked the same things."""
        texts = [item.text for item in (*self.sentences, *self.prompts)]
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def teacher_of(preset: str) -> str:
    """The flite voice that a preset of the embedded model, such as "en_0", was trained on."""
    return FLITE_VOICES[int(preset.removeprefix("en_"))]


def prepare_material(
    pronunciations: Pronunciations,
    *,
    n_sentences: int,
    validation: bool = False,
    corpus_seed: int = 0,
    n_fitting: int = 40,
) -> Material:
    """Draw the test sentences of the embedded recipe, or its validation sentences.

    The validation run also judges other prompts than the test run does.
    """
    options = CorpusOptions.preset("cpu", seed=corpus_seed)
    sets = make_sentence_sets(options.n_train, options.n_valid, options.n_test, seed=options.seed)
    held_out = sets.valid if validation else sets.test[: options.n_test]
    can_say = [s for s in held_out if set(words_of(s.text)) <= pronunciations.keys()]
    phrases = _phrases(pronunciations, corpus_seed)
    first = len(TEST_PROMPTS) if validation else 0
    plain = [s.spoken for s in sets.train if s.kind == "sentence" and len(words_of(s.spoken)) >= 5]
    return Material(
        sentences=tuple(_item(sentence) for sentence in can_say[:n_sentences]),
        prompts=phrases[first : first + len(TEST_PROMPTS)],
        phrases=tuple(item.words for item in phrases),
        training_words=tuple(words_of(s.spoken) for s in sets.train if s.kind in _PROSE),
        fitting_texts=tuple(plain[:n_fitting]),
        left_out=tuple(s.text for s in held_out if s not in can_say),
    )


def _item(sentence: Sentence) -> Item:
    return Item(sentence.text, sentence.spoken, words_of(sentence.text))


def _phrases(pronunciations: Pronunciations, seed: int) -> tuple[Item, ...]:
    """The test prompts, then distractors in random order; phrases that sound like one are out."""
    lexicon = Grammar().lexicon
    others = [
        text[0].upper() + text[1:] + "." for key in ("single", "pair") for text in lexicon[key]
    ]
    Random(f"phrases/{seed}").shuffle(others)
    chosen: dict[tuple[str, ...], Item] = {}
    for text in (*TEST_PROMPTS, *others):
        words = words_of(text)
        if not set(words) <= pronunciations.keys():
            continue
        sound = tuple(pronunciations[word][0] for word in words)
        chosen.setdefault(sound, Item(text, text, words))
    return tuple(chosen.values())[: len(TEST_PROMPTS) + N_DISTRACTOR_PHRASES]


def speak(text: str, speaker: str) -> npt.NDArray[np.float32]:
    """flite's waveform ``[L]`` at 24 kHz, at the loudness the model was trained on.

    Raises:
        TrainingError: flite is not installed.
    """
    waveform = speak_flite(text, speaker).waveform
    peak = float(np.abs(waveform).max(initial=0.0))
    gain = min(TARGET_LOUDNESS / max(loudness(waveform), 1e-6), _PEAK_LIMIT / max(peak, 1e-6))
    return waveform * np.float32(gain)
