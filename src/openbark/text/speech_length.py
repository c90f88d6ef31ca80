"""How long a text takes to say, guessed from its characters: for budgets and for noticing runaways.

Average reading speeds by script; a model's own pace is a factor on top. Knows no words and no voice.
"""

from __future__ import annotations

import unicodedata
from itertools import accumulate

_SENTENCE_END = 0.25
_CLAUSE_END = 0.12
_DIGIT = 0.3
_SIGN = 0.15
_MARK = 0.02
_OTHER_LETTER = 0.09
# First and last character of a script, seconds per letter. Latin text runs at some 15 letters a second.
_SCRIPTS = (
    ("\u0041", "\u024f", 0.065),
    ("\u0370", "\u052f", 0.068),
    ("\u0900", "\u097f", 0.09),
    ("\u3041", "\u30ff", 0.13),
    ("\u3400", "\u9fff", 0.22),
    ("\uac00", "\ud7a3", 0.17),
)
_PAUSES = {
    **dict.fromkeys(".!?…。！？।॥", _SENTENCE_END),
    **dict.fromkeys(",;:、，；：—–", _CLAUSE_END),
}


class _SecondsOf(dict[str, float]):
    """Seconds by character, worked out when first asked for."""

    def __missing__(self, character: str) -> float:
        self[character] = seconds = _seconds_of(character)
        return seconds


def _seconds_of(character: str) -> float:
    if character.isspace():
        return 0.0
    if character in _PAUSES:
        return _PAUSES[character]
    category = unicodedata.category(character)
    if category.startswith("L"):
        for first, last, seconds in _SCRIPTS:
            if first <= character <= last:
                return seconds
        return _OTHER_LETTER
    if category.startswith("N"):
        return _DIGIT
    # Quotes and brackets have no sound, but a megabyte of them must not count as nothing.
    return _SIGN if category.startswith("S") else _MARK


def running_seconds(text: str) -> list[float]:
    """Seconds before each character, and in all: [len(text) + 1], for the length of any stretch in one step."""
    return list(accumulate(map(_SecondsOf().__getitem__, text), initial=0.0))


def expected_seconds(text: str) -> float:
    """Seconds that an average speaker takes for `text`."""
    return running_seconds(text)[-1]
