"""The "en" normalizer: English as people type it, to words and a little punctuation.

Numbers, dates, money, abbreviations and signs become words; bracket tags such as [laughs] stay as they
are. Nothing is dropped: what cannot be read is refused by name. Knows no tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from openbark.errors import TextError
from openbark.text.abbreviations import ABBREVIATION_RULES
from openbark.text.characters import fold_characters
from openbark.text.quantities import QUANTITY_RULES
from openbark.text.rules import Rule, apply_rules
from openbark.text.tokenizer import describe_characters

__all__ = ["ENGLISH_CHARACTERS", "normalize_english"]

ENGLISH_CHARACTERS = " !\"'(),-.:;?[]ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Every character that normalized text can hold."""

_TAG = re.compile(r"(\[[A-Za-z][A-Za-z ,'-]*\])")
_SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "&": "and",
        "@": "at",
        "+": "plus",
        "=": "equals",
        "#": "hash",
        "%": "percent",
        "*": "asterisk",
        "/": "slash",
        "\\": "backslash",
        "_": "underscore",
        "<": "less than",
        ">": "greater than",
        "~": "tilde",
        "^": "caret",
        "|": "bar",
        "$": "dollars",
        "£": "pounds",
        "€": "euros",
        "¥": "yen",
        "¢": "cents",
        "°": "degrees",
    }
)
_BRACKETS = str.maketrans({"{": "(", "}": ")", "`": "'"})
_BEFORE_NUMBERS: tuple[Rule, ...] = (
    *ABBREVIATION_RULES,
    # A dot inside an address or a file name, but not between sentences that lack a space.
    Rule(re.compile(r"(?<=[A-Za-z0-9_])\.(?=[a-z]{2})"), lambda match: " dot "),
    Rule(re.compile(r"(?<!\S)\.(?=[a-z])"), lambda match: "dot "),
)
_SIGN_RULES: tuple[Rule, ...] = (
    Rule(re.compile(r"~\s?(?=[$£€]?\d)"), lambda match: "about "),
    Rule(re.compile(r"(?<=\d)\s?\*\s?(?=\d)"), lambda match: " times "),
    Rule(re.compile(r"(?<=\d)\^(?=\d)"), lambda match: " to the power of "),
)
_LEFT_OVER = Rule(
    re.compile("|".join(re.escape(sign) for sign in _SIGNS)),
    lambda match: f" {_SIGNS[match.group()]} ",
)


def normalize_english(text: str) -> str:
    """English text in `ENGLISH_CHARACTERS` only. Raises TextError naming what cannot be read."""
    folded = fold_characters(text)
    parts = _TAG.split(folded)
    # Odd parts are the tags themselves.
    spoken = [part if index % 2 else _words(part) for index, part in enumerate(parts)]
    normalized = re.sub(r" +", " ", "".join(spoken)).strip()
    unread = [character for character in normalized if character not in ENGLISH_CHARACTERS]
    if unread:
        raise TextError(
            f"this voice cannot read {describe_characters(unread)}; "
            "leave these characters out or write them as English words"
        )
    return normalized


def _words(text: str) -> str:
    with_words = apply_rules(text.translate(_BRACKETS), _BEFORE_NUMBERS)
    numbers_read = apply_rules(apply_rules(with_words, _SIGN_RULES), QUANTITY_RULES)
    signs_read = re.sub(r" +", " ", _LEFT_OVER.apply(numbers_read))
    return re.sub(r" (?=[,.!?;:)](?:\W|$))", "", signs_read)
