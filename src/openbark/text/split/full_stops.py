"""Whether a full stop ends a sentence, told from the words on both sides of it.

Knows only "." itself; other marks, quotes and lines are `openbark.text.split.boundaries`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from openbark.text.split.sentence_words import SentenceWords

__all__ = ["Following", "ends_with_full_stop"]

_SKIPPED = "\"'“‘«»„(¿¡—–-♪*_…「『"
_FOLLOWING = re.compile(
    r"\s*+(?:[" + re.escape(_SKIPPED) + r"]++\s*+){0,4}+(?P<word>[^\W_]{0,40}+)(?P<dot>\.?)"
)
_ROMAN = re.compile(r"[IVXLC]+")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,4}\.-?)+[^\W\d_]{1,4}")
_DEVANAGARI_LETTERS = frozenset(
    "ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई ज़ेड जेड".split()
)
_STREET_DE = ("str", "pl")
_PREPOSITIONS = frozenset("in by since until on at from before after during for around".split())
_PHRASE_WORDS = 3
_MAX_ORDINAL_DIGITS = 2
_MAX_ITEM_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Following:
    """What comes after an end mark: the next word in lower case, and how it is written."""

    word: str
    is_lower: bool
    is_upper: bool
    is_number: bool
    is_initial: bool
    is_roman: bool
    is_caseless: bool
    is_end: bool

    @classmethod
    def at(cls, text: str, position: int, has_case: bool = True) -> Following:
        """Look past spaces and opening marks. has_case: False where nobody writes capitals."""
        match = _FOLLOWING.match(text, position)
        word = match.group("word") if match else ""
        first = word[:1]
        return cls(
            word=word.lower().replace("\u0307", ""),
            is_lower=first.islower() and has_case,
            is_upper=first.isupper() or (first.islower() and not has_case),
            is_number=first.isdigit(),
            is_initial=len(word) == 1
            and first.isupper()
            and match is not None
            and bool(match["dot"]),
            is_roman=word != "I" and _ROMAN.fullmatch(word) is not None,
            is_caseless=first.isalpha() and first.lower() == first.upper(),
            is_end=match is not None and match.end() == len(text) and not word,
        )


def ends_with_full_stop(
    before: str,
    following: Following,
    language: str,
    words: SentenceWords,
    starts_sentence: bool,
) -> bool | None:
    """Whether the full stop after `before` ends a sentence; None where only a small letter speaks against it.

    before: the sentence so far, or its last 40 characters; starts_sentence tells which.
    """
    parts = before.split()
    token = parts[-1].lstrip(_SKIPPED + "[") if parts and not before[-1:].isspace() else ""
    word = token.lower().replace("\u0307", "")
    opens = following.word in words.openers and following.is_upper and not following.is_initial
    if not token:
        return None if following.is_lower else True
    if token.isdigit():
        is_item = starts_sentence and len(parts) == 1 and len(token) <= _MAX_ITEM_DIGITS
        return not is_item and _number_ends(token, following, words, opens)
    if word in words.never:
        return False
    if word in words.before_numbers and (following.is_number or following.is_roman):
        return False
    if language == "de" and word.endswith(_STREET_DE) and following.is_number:
        return False
    if word in words.maybe or _DOTTED.fullmatch(token):
        # "In Nov. I went": a phrase that only says when or where is not a sentence yet.
        is_phrase = (
            starts_sentence and len(parts) <= _PHRASE_WORDS and parts[0].lower() in _PREPOSITIONS
        )
        return opens and not (is_phrase and language == "en")
    if language == "hi" and word in _DEVANAGARI_LETTERS:
        return False
    if len(token) == 1 and token.lower() != token.upper():
        is_pronoun = language == "en" and token == "I" and following.is_upper
        return opens or (is_pronoun and not following.is_initial)
    if words.has_ordinals and len(token) > 1 and _ROMAN.fullmatch(token):
        return opens
    return None if following.is_lower else True


def _number_ends(token: str, following: Following, words: SentenceWords, opens: bool) -> bool:
    if words.has_ordinals and len(token) <= _MAX_ORDINAL_DIGITS:
        return opens
    return not following.is_lower
