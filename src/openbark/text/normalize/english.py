"""The "en" normalizer: English as people type it, to words and a little punctuation.

One list of rules, applied once, in the order of `READING_RULES` (docs/text.md shows it): addresses, abbreviations,
numerals and letters, then quantities from the most specific writing to bare digits, then signs. Known sound tags such
as [laughs] stay; other words in brackets are spoken. What has no sound is left out and reported; letters of other
scripts are refused by name. Knows no tokenizer.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from openbark.errors import TextError
from openbark.text.left_out import LeftOut, refuse_left_out
from openbark.text.normalize.abbreviations import ABBREVIATION_RULES
from openbark.text.normalize.characters import NO_SOUND, fold_characters
from openbark.text.normalize.letters import ADDRESS_RULES, FORMULA_RULES, INITIALISMS
from openbark.text.normalize.quantities import QUANTITY_RULES
from openbark.text.normalize.roman import ROMAN_RULES
from openbark.text.normalize.rules import Rule, apply_rules
from openbark.text.sound_tags import is_sound_tag
from openbark.text.tokenizer import describe_characters

ENGLISH_CHARACTERS = " !\"'(),-.:;?[]ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Every character that normalized text can hold."""

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BRACKETED = re.compile(r"\[([^\[\]]{0,200})\]")
# A mark written against a word: "as shown.[4]". With a space before, the number is spoken.
_CITATION = re.compile(r"(?<=[\w.!?,;:\"')\]])\[\^?\d{1,3}(?:[,–-] ?\d{1,3})*\]|\[\^\w{1,40}\]")
# A number written against the end of a sentence or of a quotation: "hello.1 She left".
_FOOTNOTE = re.compile(
    r"(?:(?<=[a-z][.!?;\"')])|(?<=[a-z][.!?][\"')]))(?<!no\.)(?<!p\.)\d{1,3}(?=\s+[\"'(]?[A-Z]|\s*\Z)"
)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3})(?=[^\s*_])([^*_\n]{1,300})(?<=\S)\1(?![\w*])")
_LINK = re.compile(r"(?<!!)\[([^\[\]]{1,200})\]\((?:https?:|mailto:|/|#|\.)[^()\s]{0,500}\)")
_STAR = re.compile(r"(?<=[A-Za-z.,!?%)\d])\*+(?![\w*])|(?<![\w*])\*+(?=[A-Z])")
_ORNAMENT = re.compile(r"([*#_=~^|<>+/\\-])\1{2,}|(?<!\S)(?:[*_~=#-] ){2,}[*_~=#-](?!\S)")
_SMILEY = re.compile(r"(?<!\S)[:;=8][-^o']?[)(DPpOo3/|\\*](?=[\s.,!?]|\Z)|(?<!\S)<3(?!\S)")
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
        "₹": "rupees",
        "₽": "rubles",
        "₩": "won",
        "₿": "bitcoin",
        "₺": "lira",
        "₪": "shekels",
        "₫": "dong",
        "₴": "hryvnias",
        "₦": "naira",
        "₱": "pesos",
        "฿": "baht",
        "°": "degrees",
        "µ": "micro",
        "Ω": "ohms",
    }
)
_PLAIN_BRACKETS = str.maketrans({"{": "(", "}": ")", "`": "'", "[": "(", "]": ")"})

_SIGN_RULES: tuple[Rule, ...] = (
    Rule(
        "about",
        re.compile(r"~\s?(?=[$£€]?\d)"),
        lambda match: "about ",
        (("~5 minutes", "about five minutes"),),
    ),
    Rule(
        "times",
        re.compile(r"(?<=\d)\s?\*\s?(?=\d)"),
        lambda match: " times ",
        (("2*3", "two times three"),),
    ),
    Rule(
        "squares and cubes",
        re.compile(r"(?<=\w)\^(?P<power>[23])(?![\d.,]*\d)"),
        lambda match: " squared" if match["power"] == "2" else " cubed",
        (("x^2", "x squared"), ("5^3", "five cubed")),
    ),
    Rule(
        "powers",
        re.compile(r"(?<=\w)\^(?=-?\d)|(?<=\d)\*\*(?=\d)"),
        lambda match: " to the power of ",
        (("2^10", "two to the power of ten"), ("10²³", "ten to the power of twenty-three")),
    ),
)
_LEFT_OVER = Rule(
    "signs by their names",
    re.compile("|".join(re.escape(sign) for sign in _SIGNS)),
    lambda match: f" {_SIGNS[match.group()]} ",
    (("Tom & Jerry", "Tom and Jerry"), ("a+b=c", "a plus b equals c"), ("#fun", "hash fun")),
)
READING_RULES: tuple[Rule, ...] = (
    *ADDRESS_RULES,
    *ABBREVIATION_RULES,
    *ROMAN_RULES,
    *FORMULA_RULES,
    *_SIGN_RULES,
    *QUANTITY_RULES,
    INITIALISMS,
    _LEFT_OVER,
)
"""Every rule, in the order in which they are applied, each once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Text as it is spoken, and what was left out of it. text: empty where nothing has a sound."""

    text: str
    left_out: tuple[LeftOut, ...] = ()


def read_english(text: str) -> Reading:
    """English text in `ENGLISH_CHARACTERS` only. Raises TextError naming letters of other scripts."""
    folded, missing = fold_characters(_ENTITY.sub(_character, text))
    left_out = list(missing)
    plain = re.sub(r" {2,}", " ", folded)
    plain = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", plain))
    plain = _leave_out(_CITATION, "citation", plain, left_out)
    plain = _leave_out(_FOOTNOTE, "footnote mark", plain, left_out)
    plain = _leave_out(_STAR, "footnote mark", plain, left_out)
    plain = _leave_out(_ORNAMENT, "ornament", plain, left_out)
    plain = _leave_out(_SMILEY, NO_SOUND, plain, left_out)
    spoken = "".join(part if is_tag else _words(part) for part, is_tag in _divided_at_tags(plain))
    normalized = re.sub(r" +", " ", spoken).strip()
    unread = [character for character in normalized if character not in ENGLISH_CHARACTERS]
    if unread:
        raise TextError(
            f"this voice cannot read {describe_characters(unread)}; "
            "leave these characters out or write them as English words"
        )
    return Reading(normalized, tuple(left_out))


def normalize_english(text: str, strict: bool = False) -> str:
    """The text of `read_english`. strict: raise TextError where anything is left out."""
    reading = read_english(text)
    if strict:
        refuse_left_out(reading.left_out)
    return reading.text


def _character(match: re.Match[str]) -> str:
    return html.unescape(match.group())


def _leave_out(pattern: re.Pattern[str], reason: str, text: str, left_out: list[LeftOut]) -> str:
    def removed(match: re.Match[str]) -> str:
        left_out.append(LeftOut(match.group().strip(), reason))
        return ""

    return pattern.sub(removed, text)


def _divided_at_tags(text: str) -> list[tuple[str, bool]]:
    """Stretches of `text`, each with whether it is a sound tag; brackets around other words go."""
    parts: list[tuple[str, bool]] = []
    between: list[str] = []
    position = 0
    for match in _BRACKETED.finditer(text):
        between.append(text[position : match.start()])
        position = match.end()
        if is_sound_tag(match[1]):
            parts += [("".join(between), False), (match.group(), True)]
            between = []
        else:
            between.append(_without_brackets(match))
    return [*parts, ("".join([*between, text[position:]]), False)]


_LABELLED = re.compile(r" +[\"'(]?[A-Z]")
_SENTENCE_STARTS = re.compile(r"(?:\A|[.!?][\"')]?)\s*\Z")


def _without_brackets(match: re.Match[str]) -> str:
    """The words in brackets; a label before a sentence ("[Note] The shop ...") gets a colon."""
    words = match[1].strip()
    before = match.string[max(0, match.start() - 8) : match.start()]
    is_label = (
        words[-1:].isalnum()
        and _LABELLED.match(match.string, match.end()) is not None
        and _SENTENCE_STARTS.search(before) is not None
    )
    return f"{words}:" if is_label else words


def _words(text: str) -> str:
    read = apply_rules(text.translate(_PLAIN_BRACKETS), READING_RULES)
    return re.sub(r" (?=[,.!?;:)](?:\W|$))", "", re.sub(r" +", " ", read))
