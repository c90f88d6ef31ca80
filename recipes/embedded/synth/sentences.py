"""What the corpus says: training texts and held-out texts, deterministic from a seed.

Draws sentences, single words, word lists, spelling items and tagged lines, and varies case and
punctuation. Knows nothing of voices or audio. A text never exceeds :data:`MAX_CHARACTERS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from openbark.errors import TrainingError
from recipes.embedded.synth.grammar import Grammar

MAX_CHARACTERS = 92
SPELLING_LIST = Path("/usr/share/dict/words")

TEST_PROMPTS = (
    "Yes.",
    "No.",
    "Hello.",
    "Thanks.",
    "Okay.",
    "Stop.",
    "Please.",
    "Goodbye.",
    "Sorry.",
    "Welcome.",
    "Water.",
    "Seven.",
    "Monday.",
    "Thank you.",
    "Good morning.",
    "Good night.",
    "Excuse me.",
    "Come in.",
    "Of course.",
    "No problem.",
)

_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_CANDIDATES_PER_TEXT = 20
# Chance that a sentence is followed by another; brings the mean length near 45 characters.
_SECOND_SENTENCE = 0.6


@dataclass(frozen=True)
class Sentence:
    """One line of the corpus.

    Attributes:
        text: what the model reads, with case, punctuation and bracket tags.
        spoken: what the synthesiser is told to say (no tags, plain case).
        kind: which generator made it.
    """

    text: str
    spoken: str
    kind: str


@dataclass(frozen=True)
class SentenceSets:
    """Training, validation and test sentences; the last two share no sentence with the first."""

    train: tuple[Sentence, ...]
    valid: tuple[Sentence, ...]
    test: tuple[Sentence, ...]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, bracket tags left out."""
    return tuple(word.lower() for word in _WORD.findall(re.sub(r"\[[^\]]*\]", " ", text)))


def sentence_key(text: str) -> str:
    """A sentence without case and punctuation: equal keys are copies of one another."""
    return " ".join(words_of(text))


def load_spelling_words(path: Path = SPELLING_LIST) -> tuple[str, ...]:
    """Plain lower-case words of 3-12 letters from a system word list; empty if there is none."""
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(sorted({line for line in lines if re.fullmatch(r"[a-z]{3,12}", line)}))


class _Writer:
    """Draws sentences of every kind in fixed proportions."""

    def __init__(self, spelling_words: Sequence[str]) -> None:
        self._grammar = Grammar()
        self._words = self._grammar.words()
        self._spelling_words = tuple(spelling_words)
        self._next_templates: list[str] = []

    def training(self, rng: Random) -> Sentence:
        """One training sentence of a random kind that fits the length limit."""
        while True:
            kind, text = self._draw(rng)
            sentence = _tagged(text, rng, self._tags) if kind == "tag" else _plain(text, rng, kind)
            if len(sentence.text) <= MAX_CHARACTERS:
                return sentence

    def held_out(self, rng: Random) -> Sentence:
        """One natural sentence of 4-14 words; each template comes once before any comes again."""
        while True:
            if not self._next_templates:
                self._next_templates = list(self._grammar.templates)
                rng.shuffle(self._next_templates)
            text = self._grammar.fill(self._next_templates.pop(), rng)
            if 4 <= len(words_of(text)) <= 14 and len(text) <= MAX_CHARACTERS:
                return Sentence(text, text, "held-out")

    @property
    def _tags(self) -> tuple[str, ...]:
        return self._grammar.lexicon["tag"]

    def _draw(self, rng: Random) -> tuple[str, str]:
        share = rng.random()
        if share < 0.12:
            return "short", self._short(rng)
        if share < 0.22:
            return "list", _list(rng, rng.choices(self._words, k=rng.randint(3, 6)))
        if share < 0.30 and self._spelling_words:
            return "spelling", self._spelling(rng)
        if share < 0.32:
            return "tag", self._grammar.sentence(rng)
        text = self._grammar.sentence(rng)
        if rng.random() < _SECOND_SENTENCE and text[-1] in '.!?"':
            text = f"{text} {self._grammar.sentence(rng)}"
        return "sentence", text

    def _short(self, rng: Random) -> str:
        lexicon = self._grammar.lexicon
        source = rng.random()
        if source < 0.15:
            return rng.choice(TEST_PROMPTS)
        if source < 0.5:
            text = rng.choice(lexicon["single"])
        elif source < 0.75:
            text = rng.choice(lexicon["pair"])
        elif source < 0.9:
            text = rng.choice(self._words)
        else:
            template = rng.choice(("the <item>", "<adj> <item.s>", "<name> <surname>", "<number>"))
            text = self._grammar.fill(template, rng)
        text = text[0].upper() + text[1:]
        return text + rng.choice(("", ".", ".", ".", "!", "?"))

    def _spelling(self, rng: Random) -> str:
        picked = rng.choices(self._spelling_words, k=rng.randint(3, 5))
        template = rng.choice(
            (
                "{list}",
                "{list}",
                "{list}",
                "The word is {0}, not {1}.",
                "Do you mean {0} or {1}?",
                "She said {0}, {1} and {2}.",
                "{0} and {1} are words.",
                "I can spell {0}, but not {1}.",
                "Look up {0} and {1}, please.",
                "What does {0} mean?",
            )
        )
        text = template.format(*picked, list=_list(rng, picked))
        return text[0].upper() + text[1:]


def _list(rng: Random, words: Iterable[str]) -> str:
    text = rng.choice((" ", ", ", ", ")).join(words) + rng.choice(("", "."))
    return text[0].upper() + text[1:] if rng.random() < 0.7 else text


def _plain(text: str, rng: Random, kind: str) -> Sentence:
    """Vary case and final punctuation of the text; the synthesiser hears plain case."""
    share = rng.random()
    if share < 0.06 and text[-1] in ".!":
        text = text[:-1]
    elif share < 0.09 and text[-1] == ".":
        text = text[:-1] + "!"
    spoken = text
    case = rng.random()
    if case < 0.08:
        text = text.lower()
    elif case < 0.10:
        words = [word for word in _WORD.findall(text) if len(word) > 1]
        if words:
            loud = rng.choice(words)
            text = re.sub(rf"\b{re.escape(loud)}\b", loud.upper(), text, count=1)
    return Sentence(text, spoken, kind)


def _tagged(text: str, rng: Random, tags: Sequence[str]) -> Sentence:
    """Put a bracket tag before, after or within a sentence; the synthesiser does not hear it."""
    tag = f"[{rng.choice(tags)}]"
    place = rng.random()
    if place < 0.4:
        return Sentence(f"{tag} {text}", text, "tag")
    if place < 0.8:
        return Sentence(f"{text} {tag}", text, "tag")
    words = text.split(" ")
    cut = rng.randrange(len(words)) + 1
    return Sentence(" ".join([*words[:cut], tag, *words[cut:]]), text, "tag")


def make_sentence_sets(
    n_train: int,
    n_valid: int,
    n_test: int,
    *,
    seed: int,
    n_prompts: int = len(TEST_PROMPTS),
    spelling_words: Sequence[str] | None = None,
) -> SentenceSets:
    """Draw the three sets.

    Validation and test sentences have no copy in training (case and punctuation aside), and each
    of their words occurs in training. The test set ends with the first `n_prompts` everyday
    prompts of one or two words, which training may hold as well.

    Args:
        spelling_words: extra words for spelling coverage; by default the system's word list.

    Raises:
        TrainingError: training is too small to cover the words of the held-out sentences.
    """
    writer = _Writer(load_spelling_words() if spelling_words is None else spelling_words)
    n_held = n_valid + n_test
    held_rng = Random(f"held-out/{seed}")
    candidates: dict[str, Sentence] = {}
    while len(candidates) < n_held * _CANDIDATES_PER_TEXT:
        sentence = writer.held_out(held_rng)
        candidates.setdefault(sentence_key(sentence.text), sentence)
    train = _draw_training(writer, n_train, Random(f"train/{seed}"), candidates)
    prompts = tuple(Sentence(text, text, "prompt") for text in TEST_PROMPTS[:n_prompts])
    seen = {word for sentence in train for word in words_of(sentence.text)}

    def is_covered(sentence: Sentence) -> bool:
        return seen.issuperset(words_of(sentence.text))

    held = [sentence for sentence in candidates.values() if is_covered(sentence)][:n_held]
    # Small corpora cover few words by chance: word lists in place of the last sentences help.
    held += [s for s in candidates.values() if s not in held][: n_held - len(held)]
    missing = sorted({w for s in (*held, *prompts) for w in words_of(s.text)} - seen)
    if missing:
        train = _cover(train, missing, (*held, *prompts))
    return SentenceSets(
        train=tuple(train),
        valid=tuple(held[n_test:]),
        test=(*held[:n_test], *prompts),
    )


def _draw_training(
    writer: _Writer, count: int, rng: Random, excluded: dict[str, Sentence]
) -> list[Sentence]:
    train: list[Sentence] = []
    seen = set(excluded)
    while len(train) < count:
        sentence = writer.training(rng)
        key = sentence_key(sentence.text)
        if sentence.kind != "short" and key in seen:
            continue
        if sentence.kind == "short" and key in excluded:
            continue
        seen.add(key)
        train.append(sentence)
    return train


def _cover(
    train: list[Sentence], missing: Sequence[str], held: Sequence[Sentence]
) -> list[Sentence]:
    """Replace the last training sentences by lists of the missing words."""
    spelling = {w.lower(): w for s in held for w in _WORD.findall(s.text)}
    lists = [missing[start : start + 6] for start in range(0, len(missing), 6)]
    if len(lists) * 2 > len(train):
        raise TrainingError(
            f"{len(train)} training sentences cannot cover the words of {len(held)} held-out"
            f" sentences ({len(missing)} are missing); ask for more training sentences or fewer"
            " held-out ones"
        )
    texts = [", ".join(spelling[word] for word in words) + "." for words in lists]
    kept = train[: len(train) - len(texts)]
    covered = {word for sentence in kept for word in words_of(sentence.text)}
    needed = {word for sentence in held for word in words_of(sentence.text)}
    extra = [Sentence(text, text, "cover") for text in texts]
    still = sorted(needed - covered - set(missing))
    return kept + extra if not still else _cover(train, sorted({*missing, *still}), held)
