"""One reading rule: a name, a pattern and the words for what it matches, with examples that are tests.

Knows no language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from openbark.text.split.sentence_words import SENTENCE_WORDS

_REST_IS_EMPTY = re.compile(r"[\s\"')\]]*\Z")
_NEXT_WORD = re.compile(r"[\"')\]]*\s+[\"'(\[]*([A-Z][A-Za-z]*)")
_OPENERS = SENTENCE_WORDS["en"].openers


@dataclass(frozen=True, slots=True)
class Rule:
    """Replaces every match of `pattern` by `read(match)`; None leaves the match as it is.

    name: what is read, for the documentation. examples: (text, the words it becomes after all rules).
    """

    name: str
    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], str | None]
    examples: tuple[tuple[str, str], ...] = ()

    def apply(self, text: str) -> str:
        """`text` with every match read; a space is put where words would touch a letter or digit."""
        return self.pattern.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        words = self.read(match)
        if words is None:
            return match.group()
        before = match.string[max(0, match.start() - 1) : match.start()]
        after = match.string[match.end() : match.end() + 1]
        left = " " if before.isalnum() and words[:1].isalnum() else ""
        right = " " if after.isalnum() and words[-1:].isalnum() else ""
        return f"{left}{words}{right}"


def apply_rules(text: str, rules: Sequence[Rule]) -> str:
    """Apply rules in order, each to the result of the one before."""
    for rule in rules:
        text = rule.apply(text)
    return text


def one_of(words: Mapping[str, object] | Sequence[str]) -> str:
    """A pattern for any of these words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def full_stop_after(match: re.Match[str]) -> str:
    """The dot of an abbreviation that also ends a sentence: at the end of the text, or before a word that opens
    sentences. Before any other word, such as a name, there is none."""
    if not match.group().endswith("."):
        return ""
    if _REST_IS_EMPTY.match(match.string, match.end()):
        return "."
    following = _NEXT_WORD.match(match.string, match.end())
    return "." if following and following[1].lower() in _OPENERS else ""
