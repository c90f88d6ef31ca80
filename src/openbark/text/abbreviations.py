"""English abbreviations as the words they stand for.

Knows no numbers; "No.", "p." and the like are read only where a digit follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from openbark.text.rules import Rule

__all__ = ["ABBREVIATION_RULES"]

_ALWAYS: Mapping[str, str] = MappingProxyType(
    {
        "Mr": "Mister",
        "Mrs": "Missus",
        "Ms": "Miz",
        "Messrs": "Messieurs",
        "Jr": "Junior",
        "Sr": "Senior",
        "Prof": "Professor",
        "vs": "versus",
        "approx": "approximately",
        "dept": "department",
        "Dept": "Department",
        "govt": "government",
        "Inc": "Incorporated",
        "Ltd": "Limited",
        "Corp": "Corporation",
        "Bros": "Brothers",
        "Ave": "Avenue",
        "Blvd": "Boulevard",
        "Hwy": "Highway",
        "etc": "et cetera",
        "cf": "compare",
    }
)
_BEFORE_A_NAME: Mapping[str, str] = MappingProxyType(
    {
        "Capt": "Captain",
        "Cmdr": "Commander",
        "Col": "Colonel",
        "Gen": "General",
        "Gov": "Governor",
        "Hon": "Honorable",
        "Lt": "Lieutenant",
        "Maj": "Major",
        "Mt": "Mount",
        "Ft": "Fort",
        "Pres": "President",
        "Rep": "Representative",
        "Rev": "Reverend",
        "Sen": "Senator",
        "Sgt": "Sergeant",
    }
)
_BEFORE_A_NUMBER: Mapping[str, str] = MappingProxyType(
    {
        "No": "number",
        "no": "number",
        "Nos": "numbers",
        "nos": "numbers",
        "p": "page",
        "pp": "pages",
        "vol": "volume",
        "Vol": "Volume",
        "fig": "figure",
        "Fig": "Figure",
        "ch": "chapter",
        "Ch": "Chapter",
        "sec": "section",
        "Sec": "Section",
        "ca": "circa",
        "est": "established",
    }
)
_DOTTED: Mapping[str, str] = MappingProxyType(
    {
        "e.g.": "for example",
        "i.e.": "that is",
        "a.k.a.": "also known as",
        "Ph.D.": "P H D",
        "et al.": "et al",
        "w/o": "without",
        "w/": "with",
    }
)


def _one_of(words: Mapping[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _full_stop(match: re.Match[str]) -> str:
    """The dot of an abbreviation that also ends a sentence, else nothing."""
    rest = match.string[match.end() :]
    ends = match.group().endswith(".") and (
        not rest.strip() or re.match(r"[\"')\]]*\s+[\"'(]*[A-Z]", rest)
    )
    return "." if ends else ""


def _before(match: re.Match[str]) -> str:
    """The words just before, as far as an address reaches back."""
    return match.string[max(0, match.start() - 60) : match.start()]


def _always(match: re.Match[str]) -> str:
    word = match.group("word")
    is_title = word in ("Mr", "Mrs", "Ms", "Messrs", "Prof", "vs")
    return _ALWAYS[word] + ("" if is_title else _full_stop(match))


def _saint_or_street(match: re.Match[str]) -> str:
    name_follows = re.match(r"\s+[A-Z]", match.string[match.end() :]) is not None
    in_an_address = re.search(r"\d\w*(?:\s+[A-Z]\w*)+\s+$", _before(match))
    if name_follows and in_an_address is None:
        return "Saint"
    return f"Street{_full_stop(match)}"


def _doctor_or_drive(match: re.Match[str]) -> str:
    name_follows = re.match(r"\s+[A-Z]", match.string[match.end() :]) is not None
    after_a_name = re.search(r"[A-Z]\w*\s+$", _before(match))
    if name_follows or after_a_name is None:
        return "Doctor"
    return f"Drive{_full_stop(match)}"


def _road(match: re.Match[str]) -> str:
    return f"Road{_full_stop(match)}"


def _initials(match: re.Match[str]) -> str:
    letters = match.group().replace(".", " ").split()
    return " ".join(letters) + _full_stop(match)


ABBREVIATION_RULES: tuple[Rule, ...] = (
    Rule(
        re.compile(rf"(?<!\w)(?P<word>{_one_of(_DOTTED)})(?!\d)"),
        lambda match: _DOTTED[match.group("word")],
    ),
    Rule(re.compile(r"(?<![\w.])(?:[A-Za-z]\.){2,}(?!\w)"), _initials),
    Rule(re.compile(rf"\b(?P<word>Mr|Mrs|Ms|vs|{_one_of(_ALWAYS)})\.(?!\w)"), _always),
    Rule(re.compile(r"\b(?P<word>Mr|Mrs|Ms|vs)\b(?!')"), _always),
    Rule(
        re.compile(rf"\b(?P<word>{_one_of(_BEFORE_A_NAME)})\.(?=\s+[A-Z])"),
        lambda match: _BEFORE_A_NAME[match.group("word")],
    ),
    Rule(
        re.compile(rf"\b(?P<word>{_one_of(_BEFORE_A_NUMBER)})\.\s?(?=\d)"),
        lambda match: f"{_BEFORE_A_NUMBER[match.group('word')]} ",
    ),
    Rule(re.compile(r"\bSt\.(?!\w)"), _saint_or_street),
    Rule(re.compile(r"\bDr\.(?!\w)|\bDr\b(?=\s+[A-Z])"), _doctor_or_drive),
    Rule(re.compile(r"(?<=[a-z]\s)Rd\.(?!\w)"), _road),
    Rule(re.compile(r"(?<=[A-Za-z] )Co\.(?!\w)"), lambda match: f"Company{_full_stop(match)}"),
)
"""In the order in which they must be applied."""
