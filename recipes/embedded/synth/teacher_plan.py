"""Who says what in a corpus by the labelled teacher: a pure function of the options and the word lists.

Texts: WordNet's usage examples and definitions, alone or two behind one another; the project's own grammar; lists of
rare words and names, so that spelling is learned for the whole dictionary. Speakers: the presets, the
teacher's other English voices, and weighted means of voices, which are new speakers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np

from recipes.embedded.synth.sentences import SPELLING_LIST, make_sentence_sets
from recipes.embedded.synth.wordnet import (
    WORDNET_FOLDER,
    wordnet_definitions,
    wordnet_examples,
)

PRESET_VOICES = (
    *("af_heart", "am_michael", "af_bella", "bf_emma", "am_puck", "bm_george", "am_fenrir"),
    "bf_isabella",
)
MAX_TEXT = 126
"""Characters of the longest text: what one call of the embedded model reads, less a margin."""

# Shares of the kinds of text; see docs/embedded-model.md for why names have so large a part.
_KINDS = ("example", "examples", "definition", "grammar", "words", "names", "frame")
_SHARES = (0.26, 0.17, 0.13, 0.14, 0.12, 0.10, 0.08)
_FRAMES = (
    "I met {} and {} in {}.", "{} is a word I know.", "Do you know {}?", "My name is {}.",
    "{} lives in {} now.", "Have you ever been to {}?", "She called it {}.", "{}, {}, or {}?",
    "They said {} and then {}.", "Mister {} spoke to Doctor {}.", "Please spell {} for me.",
    "{} told {} about the {}.", "What does {} mean?", "We drove from {} to {}.", "It was {}!",
    "Thank you, {}.", "{} wrote to {} last week.", "Is {} your sister?", "A {} of {}.",
)  # fmt: skip
_PRESET_SHARE, _VOICE_SHARE = 0.55, 0.2
_LINES_PER_MIX = 16
_FOREIGN_SHARE = 0.15


@dataclass(frozen=True)
class PlannedLine:
    """One text and its speaker: a name and the weights of the teacher's voices."""

    text: str
    speaker: str
    mix: dict[str, float]


@dataclass(frozen=True)
class TeacherTexts:
    """Where texts come from.

    Attributes:
        wordnet: folder with data.noun, data.verb, data.adj, data.adv.
        words: a list of words, one a line; capitalised ones are names.
        held_out: texts that must not be planned (compared without case and punctuation).
    """

    wordnet: Path = WORDNET_FOLDER
    words: Path = SPELLING_LIST
    held_out: frozenset[str] = field(default_factory=frozenset)


def rare_words(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(words, names) of a word list: letters only, 3 to 14 of them, no possessives."""
    lines = path.read_text(encoding="utf-8").splitlines()
    words = sorted({line for line in lines if re.fullmatch(r"[a-z]{3,14}", line)})
    names = sorted({line for line in lines if re.fullmatch(r"[A-Z][a-z]{2,13}", line)})
    return tuple(words), tuple(names)


def plan_lines(
    texts: TeacherTexts, voices: Sequence[str], n_lines: int, seed: int
) -> list[PlannedLine]:
    """`n_lines` lines; a longer plan begins with the lines of a shorter one of the same seed."""
    draw = _Texts(texts, seed)
    speakers = _Speakers(voices, seed)
    lines: list[PlannedLine] = []
    while len(lines) < n_lines:
        text = draw.next()
        if _key(text) in texts.held_out:
            continue
        speaker, mix = speakers.next()
        lines.append(PlannedLine(text, speaker, mix))
    return lines


def _key(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


class _Texts:
    """Endless texts: every list is used up in random order before it starts again."""

    def __init__(self, texts: TeacherTexts, seed: int) -> None:
        self._rng = Random(f"texts {seed}")
        words, names = rare_words(texts.words)
        grammar = make_sentence_sets(20_000, 0, 0, seed=seed, n_prompts=0).train
        sources = {
            "example": list(wordnet_examples(texts.wordnet)),
            "definition": list(wordnet_definitions(texts.wordnet)),
            "grammar": [s.text for s in grammar if s.kind == "sentence" and "[" not in s.text],
            "word": list(words),
            "name": list(names),
        }
        self._sources = sources
        self._left: dict[str, list[str]] = {kind: [] for kind in sources}

    def next(self) -> str:
        """The next text of at most `MAX_TEXT` characters."""
        while True:
            (kind,) = self._rng.choices(_KINDS, _SHARES)
            text = self._of(kind)
            if len(text) <= MAX_TEXT:
                return text

    def _of(self, kind: str) -> str:
        if kind in ("example", "definition", "grammar"):
            return self._take(kind)
        if kind == "examples":
            return f"{self._take('example')} {self._take('example')}"
        if kind == "frame":
            frame = self._rng.choice(_FRAMES)
            filled = [self._take(self._rng.choice(("name", "name", "word"))) for _ in range(3)]
            text = frame.format(*filled)
            return text[0].upper() + text[1:]
        source = "name" if kind == "names" else "word"
        items = [self._take(source) for _ in range(self._rng.randint(1, 8))]
        joined = self._rng.choice((", ", ", ", " ")).join(items)
        return joined[0].upper() + joined[1:] + self._rng.choice(".....?!")

    def _take(self, source: str) -> str:
        left = self._left[source]
        if not left:
            left.extend(self._sources[source])
            self._rng.shuffle(left)
        return left.pop()


class _Speakers:
    """Presets most often, then the other English voices, then a new mean of voices for every few lines."""

    def __init__(self, voices: Sequence[str], seed: int) -> None:
        self._rng = Random(f"speakers {seed}")
        self._weights = np.random.default_rng(seed)
        self._english = sorted(v for v in voices if v[0] in "ab" and v != "am_santa")
        self._foreign = sorted(v for v in voices if v[0] not in "ab")
        self._mixes = 0
        self._open: dict[str, dict[str, float]] = {}
        self._used: dict[str, int] = {}

    def next(self) -> tuple[str, dict[str, float]]:
        """Name and weights of the next speaker."""
        share = self._rng.random()
        if share < _PRESET_SHARE:
            name = self._rng.choice(PRESET_VOICES)
            return name, {name: 1.0}
        if share < _PRESET_SHARE + _VOICE_SHARE:
            name = self._rng.choice(self._english)
            return name, {name: 1.0}
        if len(self._open) < 4:
            self._start_mix()
        name = self._rng.choice(sorted(self._open))
        mix = self._open[name]
        self._used[name] = self._used.get(name, 0) + 1
        if self._used[name] == _LINES_PER_MIX:
            del self._open[name]
        return name, mix

    def _start_mix(self) -> None:
        self._mixes += 1
        names = self._rng.sample(self._english, self._rng.choice((2, 2, 3)))
        if self._rng.random() < _FOREIGN_SHARE and self._foreign:
            names[-1] = self._rng.choice(self._foreign)
        weights = self._weights.dirichlet([1.5] * len(names))
        # "blend", not "mix": the corpus of another plan may lie in the same run.
        self._open[f"blend_{self._mixes:05d}"] = {
            name: round(float(weight), 3) for name, weight in zip(names, weights, strict=True)
        }
