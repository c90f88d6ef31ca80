"""Characters of any script brought to plain ASCII where that loses nothing an English reader hears.

Accents go, typographic quotes and dashes become typewriter ones, signs with an English name become it. What has no
sound (emoji, ornaments, control characters) is left out and listed. Letters of other scripts are refused by name.
Knows no words and no numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from openbark.errors import TextError
from openbark.text.left_out import LeftOut
from openbark.text.tokenizer import describe_characters

NO_SOUND = "has no sound"
"""Reason for a sign that is left out."""

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
        "ə": "a",
    }
)
_PUNCTUATION = MappingProxyType(
    dict.fromkeys("‘’‚‛′ʼʻ´ˈʹʽ｀", "'")
    | dict.fromkeys("“”„‟″«»‹›〝〞「」『』", '"')
    | dict.fromkeys("‐‑‒–−﹣", "-")
    | dict.fromkeys("—―•·‧▪‣◦⁃●○■□◆", " - ")
    | dict.fromkeys("¿¡", "")
    | {"⁄": "/", "∕": "/", "‽": "?!", "。": ". ", "、": ", ", "⁉": "!?", "⁈": "?!", "‼": "!!"}
)
_GREEK = MappingProxyType(
    dict(
        zip(
            "αβγδεζηθικλμνξοπρστυφχψω",
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
            "upsilon phi chi psi omega".split(),
            strict=True,
        )
    )
)
_SIGNS = MappingProxyType(
    {
        "×": " times ",
        "÷": " divided by ",
        "±": " plus or minus ",
        "∓": " minus or plus ",
        "≈": " approximately ",
        "≅": " approximately ",
        "≠": " is not equal to ",
        "≡": " is equivalent to ",
        "≤": " is at most ",
        "≥": " is at least ",
        "√": " square root of ",
        "∞": " infinity ",
        "∑": " sum of ",
        "∏": " product of ",
        "∫": " integral of ",
        "∂": " partial ",
        "∆": " delta ",
        "∝": " is proportional to ",
        "∈": " in ",
        "∅": " empty set ",
        "∪": " union ",
        "∩": " intersection ",
        "‰": " per mille ",
        "♯": " sharp ",
        "♭": " flat ",
        "§": " section ",
        "¶": " paragraph ",
        "©": " copyright ",
        "®": " registered ",
        "™": " trademark ",
        "№": " number ",
        "℅": " care of ",
        "℡": " telephone ",
        "℮": " estimated ",
    }
)
CURRENCY_SIGNS = "£€¥¢₹₽₩₿₺₪₫₴₦₱฿"
"""Signs of money besides $, which the rules of `openbark.text.normalize.quantities` read with the number beside them."""

_KEPT = frozenset(CURRENCY_SIGNS + "°µΩ")
_NOTHING = frozenset("\u00ad\u200b\ufeff\u034f\u061c\u180e")
"""Hints for line breaking and joining: they have neither shape nor sound."""

_TABLES: tuple[Mapping[str, str], ...] = (_LETTERS, _PUNCTUATION, _SIGNS)

_NOT_PLAIN = re.compile(r"[^ -~]")
_ARROW = re.compile(r"(?<=\w)\s*[→⇒⟶➔➜⟹]\s*(?=\w)")
_SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ"
_SUB = "₀₁₂₃₄₅₆₇₈₉"
_TO_PLAIN = str.maketrans(_SUPER + _SUB, "0123456789+-n0123456789")
_RAISED = re.compile(rf"[{_SUPER}]+")
_FORMULA = re.compile(rf"\b(?=\w*[{_SUB}])(?:[A-Z][a-z]?[{_SUB}0-9]*)+(?!\w)")
_LOWERED = re.compile(rf"[{_SUB}]+")
_ELEMENT = re.compile(rf"[A-Za-z]|[{_SUB}0-9]+")
_LONE_GREEK = re.compile(
    r"(?<![\u0370-\u03ff\u1f00-\u1fff])[Α-Ωα-ω](?![\u0370-\u03ff\u1f00-\u1fff])"
)
_DEGREE_LIKE = re.compile(r"(?<=\d)\s?[º˚](?=\s?[CF]\b|(?!\w))|(?<=\d)\s?[℃℉]")
_NUMBER_SIGN = re.compile(r"\b[Nn][º°ᵒ]\s?(?=\d)")


def fold_characters(text: str) -> tuple[str, tuple[LeftOut, ...]]:
    """ASCII text, and the signs of money, ° µ Ω, that reads the same as `text`; and what was left out of it.

    Raises TextError naming every letter and digit that has no English reading: other scripts.
    """
    if _NOT_PLAIN.search(text) is None:
        return text, ()
    left_out: list[LeftOut] = []
    unreadable: list[str] = []

    def folded(match: re.Match[str]) -> str:
        plain = _fold(match.group())
        if plain is None:
            unreadable.append(match.group())
        elif plain == "\0":
            left_out.append(LeftOut(match.group(), NO_SOUND))
        return "" if plain in (None, "\0") else str(plain)

    plain = _NOT_PLAIN.sub(folded, _read_in_context(text, left_out))
    if unreadable:
        raise TextError(
            f"this voice reads English and cannot read {describe_characters(unreadable)}; "
            "leave these characters out or write them as English words"
        )
    return plain, tuple(left_out)


def _read_in_context(text: str, left_out: list[LeftOut]) -> str:
    """Characters whose reading their neighbours decide."""
    text = text.replace("μ", "µ")
    text = _NUMBER_SIGN.sub("number ", text)
    text = _DEGREE_LIKE.sub(lambda match: "°" + {"℃": "C", "℉": "F"}.get(match[0][-1], ""), text)
    text = _ARROW.sub(" to ", text)
    text = _FORMULA.sub(lambda match: " ".join(_ELEMENT.findall(match[0])), text)
    text = _LOWERED.sub(lambda match: f" {match[0].translate(_TO_PLAIN)} ", text)
    text = _RAISED.sub(lambda match: _raised(match, left_out), text)
    return _LONE_GREEK.sub(_greek, text)


def _raised(match: re.Match[str], left_out: list[LeftOut]) -> str:
    """A power after a number, a bracket or a short unit; a footnote mark, without sound, elsewhere."""
    written = match.group()
    plain = written.translate(_TO_PLAIN)
    before = match.string[max(0, match.start() - 40) : match.start()]
    word = re.search(r"[A-Za-z]*\Z", before)
    length = len(word.group()) if word else 0
    after_number = before[-1:].isdigit()
    is_unit = 0 < length <= 2 and plain != "1"
    is_sign = plain[-1:] in "+-"
    if after_number or is_unit or (before.endswith(")") and plain in ("2", "3")):
        if is_sign:
            return f" {plain.replace('+', ' plus').replace('-', ' minus')} "
        if plain in ("2", "3"):
            return " squared" if plain == "2" else " cubed"
        return f" to the power of {plain.replace('-', 'minus ')} "
    left_out.append(LeftOut(written, "footnote mark"))
    return ""


def _greek(match: re.Match[str]) -> str:
    letter = match.group()
    if letter == "Ω" and re.match(
        r"\d\s?[kMGm]?\Z", match.string[max(0, match.start() - 3) : match.start()][-3:]
    ):
        return letter
    name = _GREEK.get(letter.lower().replace("ς", "σ"), letter)
    return f" {name} "


@lru_cache(maxsize=4096)
def _fold(character: str) -> str | None:
    """ASCII for a character, "\\0" for one that has no sound, None for one that cannot be read."""
    if character.isspace():
        return " "
    if character in _KEPT:
        return character
    if character in _NOTHING:
        return ""
    for table in _TABLES:
        if character in table:
            return table[character]
    category = unicodedata.category(character)
    if category == "Mn" or category == "Me" or category == "Cf":
        return ""
    decomposed = _fold_decomposed(character)
    if decomposed is not None:
        return decomposed
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return None if category[0] in "LNM" else "\0"


def _fold_decomposed(character: str) -> str | None:
    mapping = unicodedata.decomposition(character)
    if not mapping:
        return None
    plain = "".join(
        part if part.isascii() else ((_fold(part) or "\0") if part != character else "\0")
        for part in unicodedata.normalize("NFKD", character)
        if unicodedata.category(part) != "Mn"
    )
    if not plain or "\0" in plain:
        return None
    # Numbers in circles and fractions stand apart from the number before them.
    return f" {plain} " if mapping.startswith(("<fraction>", "<circle>")) else plain
