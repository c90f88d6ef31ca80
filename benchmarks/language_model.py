"""Language models for the recogniser: vocabulary, ARPA files, a grammar of phrases.

Builds text files from training text; knows nothing of audio or of a particular recogniser.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

__all__ = ["NGrams", "choice_grammar", "choose_vocabulary", "count_bigrams", "flat_unigrams"]

START, END = "<s>", "</s>"
_DISCOUNT = 0.7
_NEVER = -99.0


@dataclass(frozen=True)
class NGrams:
    """Log10 probabilities, back-off form (ARPA).

    unigrams: word -> (log10 p, log10 back-off weight); holds ``<s>`` and ``</s>``.
    bigrams: (before, word) -> log10 p; empty for a unigram model.
    """

    unigrams: Mapping[str, tuple[float, float]]
    bigrams: Mapping[tuple[str, str], float]

    def probability(self, before: str, word: str) -> float:
        """p(word | before), backing off as a recogniser does."""
        if (before, word) in self.bigrams:
            return float(10.0 ** self.bigrams[before, word])
        weight = self.unigrams[before][1] if self.bigrams else 0.0
        return float(10.0 ** (weight + self.unigrams[word][0]))

    def to_arpa(self) -> str:
        """The model in the ARPA text format."""
        lines = ["", "\\data\\", f"ngram 1={len(self.unigrams)}"]
        if self.bigrams:
            lines.append(f"ngram 2={len(self.bigrams)}")
        lines += ["", "\\1-grams:"]
        for word, (log_p, weight) in sorted(self.unigrams.items()):
            lines.append(f"{log_p:.6f} {word}" + (f" {weight:.6f}" if self.bigrams else ""))
        if self.bigrams:
            lines += ["", "\\2-grams:"]
            lines += [
                f"{p:.6f} {before} {word}" for (before, word), p in sorted(self.bigrams.items())
            ]
        return "\n".join([*lines, "", "\\end\\", ""])


def choose_vocabulary(
    needed: Iterable[Sequence[str]],
    training: Iterable[Sequence[str]],
    pronounceable: Iterable[str],
    *,
    n_distractors: int,
    seed: int,
) -> tuple[str, ...]:
    """The words of the `needed` sentences and `n_distractors` other words of the training text.

    Distractors occur at least twice in training and can be pronounced; drawn from `seed`.
    """
    wanted = {word for words in needed for word in words}
    known = set(pronounceable)
    counts = Counter(word for words in training for word in words)
    others = sorted(w for w, n in counts.items() if n >= 2 and w not in wanted and w in known)
    Random(f"distractors/{seed}").shuffle(others)
    return tuple(sorted(wanted | set(others[:n_distractors])))


def flat_unigrams(vocabulary: Sequence[str]) -> NGrams:
    """Every word, and the end, equally likely everywhere."""
    log_p = -math.log10(len(vocabulary) + 1)
    unigrams = {word: (log_p, 0.0) for word in (*vocabulary, END)}
    return NGrams({START: (_NEVER, 0.0), **unigrams}, {})


def count_bigrams(vocabulary: Sequence[str], training: Iterable[Sequence[str]]) -> NGrams:
    """Bigrams with absolute discounting, interpolated with add-one unigrams (Ney 1994).

    Word pairs with a word outside the vocabulary are skipped. For every word before, the
    probabilities of all words and the end sum to 1.
    """
    allowed = {*vocabulary, START, END}
    pairs: Counter[tuple[str, str]] = Counter()
    for words in training:
        padded = (START, *words, END)
        pairs.update(pair for pair in itertools.pairwise(padded) if allowed.issuperset(pair))
    total: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for (before, word), count in pairs.items():
        total[before] += count
        kinds[before] += 1
        ends[word] += count
    mass = sum(ends.values()) + len(vocabulary) + 1
    p_word = {word: (ends[word] + 1) / mass for word in (*vocabulary, END)}
    share = {w: _DISCOUNT * kinds[w] / total[w] if total[w] else 1.0 for w in allowed}
    unigrams = {word: (math.log10(p), math.log10(share[word])) for word, p in p_word.items()}
    unigrams[START] = (_NEVER, math.log10(share[START]))
    bigrams = {
        (before, word): math.log10(
            (count - _DISCOUNT) / total[before] + share[before] * p_word[word]
        )
        for (before, word), count in pairs.items()
    }
    return NGrams(unigrams, bigrams)


def choice_grammar(words: Sequence[str]) -> str:
    """A JSGF grammar that accepts exactly one of the words."""
    return f"#JSGF V1.0;\ngrammar choice;\npublic <choice> = {' | '.join(words)} ;\n"
