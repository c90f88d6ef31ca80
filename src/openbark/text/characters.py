"""Characters of any script brought to plain ASCII where that loses nothing an English reader hears.

Accents go, typographic quotes and dashes become typewriter ones, signs with an English name become it.
Everything else is refused by name. Knows no words and no numbers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from openbark.errors import TextError
from openbark.text.tokenizer import describe_characters

__all__ = ["fold_characters"]

_LETTERS = MappingProxyType(
    {
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "ð": "d",
        "Ð": "D",
        "đ": "d",
        "Đ": "D",
        "þ": "th",
        "Þ": "Th",
        "ł": "l",
        "Ł": "L",
        "ħ": "h",
        "Ħ": "H",
        "ı": "i",
        "ŋ": "ng",
    }
)
_PUNCTUATION = MappingProxyType(
    dict.fromkeys("‘’‚‛′ʼʻ´", "'")
    | dict.fromkeys("“”„‟″«»‹›", '"')
    | dict.fromkeys("‐‑‒–−", "-")
    | dict.fromkeys("—―•·‧", " - ")
    | {"⁄": "/", "∕": "/"}
)
_SIGNS = MappingProxyType(
    {
        "×": " times ",
        "÷": " divided by ",
        "±": " plus or minus ",
        "≈": " approximately ",
        "≠": " is not equal to ",
        "≤": " is at most ",
        "≥": " is at least ",
        "√": " square root of ",
        "∞": " infinity ",
        "²": " squared",
        "³": " cubed",
        "µ": "micro",
        "§": " section ",
        "¶": " paragraph ",
        "©": " copyright ",
        "®": " registered ",
        "™": " trademark ",
        "№": " number ",
        "℅": " care of ",
    }
)
_KEPT = frozenset("£€¥¢°")
"""Signs that the rules of `openbark.text.english` read together with the number next to them."""

_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
"""Hints for line breaking and joining: they have neither shape nor sound."""

_TABLES: tuple[Mapping[str, str], ...] = (_LETTERS, _PUNCTUATION, _SIGNS)


def fold_characters(text: str) -> str:
    """ASCII text, and the signs £ € ¥ ¢ °, that reads the same as `text`.

    Raises TextError naming every character that has no English reading: other scripts, emoji, controls.
    """
    folded: list[str] = []
    unreadable: list[str] = []
    for character in text:
        plain = _fold(character)
        if plain is None:
            unreadable.append(character)
        else:
            folded.append(plain)
    if unreadable:
        raise TextError(
            f"this voice reads English and cannot read {describe_characters(unreadable)}; "
            "leave these characters out or write them as English words"
        )
    return "".join(folded)


def _fold(character: str) -> str | None:
    if character.isspace():
        return " "
    if character.isascii():
        return character if character.isprintable() else None
    if character in _KEPT:
        return character
    if character in _INVISIBLE:
        return ""
    for table in _TABLES:
        if character in table:
            return table[character]
    if unicodedata.category(character) == "Mn":
        return ""
    return _fold_decomposed(character)


def _fold_decomposed(character: str) -> str | None:
    mapping = unicodedata.decomposition(character)
    # A raised or lowered digit is not the digit: 10⁴ is no 104.
    if not mapping or mapping.startswith(("<super>", "<sub>")):
        return None
    plain = "".join(
        part if part.isascii() else (_fold(part) or "\0")
        for part in unicodedata.normalize("NFKD", character)
        if unicodedata.category(part) != "Mn"
    )
    if not plain or "\0" in plain:
        return None
    return f" {plain}" if mapping.startswith("<fraction>") else plain
