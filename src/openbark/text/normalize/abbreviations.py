"""English abbreviations as the words they stand for.

Knows no numbers; "No.", "p." and the like are read only where a digit follows. A dot that belongs to an abbreviation
is not spoken as the end of a sentence unless one ends there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from openbark.text.normalize.rules import Rule, full_stop_after, one_of
from openbark.text.split.sentence_words import SENTENCE_WORDS

_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "Mr": "Mister",
        "Mrs": "Missus",
        "Ms": "Miz",
        "Mme": "Madame",
        "Mlle": "Mademoiselle",
        "Messrs": "Messieurs",
        "Prof": "Professor",
        "vs": "versus",
    }
)
_ALWAYS: Mapping[str, str] = MappingProxyType(
    {
        "Jr": "Junior",
        "Sr": "Senior",
        "Esq": "Esquire",
        "approx": "approximately",
        "dept": "department",
        "Dept": "Department",
        "govt": "government",
        "Govt": "Government",
        "Univ": "University",
        "Inc": "Incorporated",
        "Ltd": "Limited",
        "Corp": "Corporation",
        "Bros": "Brothers",
        "Assn": "Association",
        "Ave": "Avenue",
        "Blvd": "Boulevard",
        "Hwy": "Highway",
        "Pkwy": "Parkway",
        "Apt": "Apartment",
        "apt": "apartment",
        "Bldg": "Building",
        "Tel": "Telephone",
        "tel": "telephone",
        "incl": "including",
        "excl": "excluding",
        "max": "maximum",
        "misc": "miscellaneous",
        "etc": "et cetera",
        "cf": "compare",
        "Mon": "Monday",
        "Tue": "Tuesday",
        "Tues": "Tuesday",
        "Wed": "Wednesday",
        "Thu": "Thursday",
        "Thur": "Thursday",
        "Thurs": "Thursday",
        "Fri": "Friday",
        "Jan": "January",
        "Feb": "February",
        "Apr": "April",
        "Aug": "August",
        "Sept": "September",
        "Oct": "October",
        "Nov": "November",
        "Dec": "December",
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
        "Lieut": "Lieutenant",
        "Maj": "Major",
        "Mt": "Mount",
        "Ft": "Fort",
        "Fr": "Father",
        "Pres": "President",
        "Rep": "Representative",
        "Rev": "Reverend",
        "Sen": "Senator",
        "Sgt": "Sergeant",
        "Supt": "Superintendent",
        "Msgr": "Monsignor",
        "Wm": "William",
        "Chas": "Charles",
        "Geo": "George",
        "Thos": "Thomas",
        "Jas": "James",
    }
)
# Without a dot, before a name: "Prof Smith". Those left out are also words or names of their own (Gen Z, Rep).
_WITHOUT_A_DOT = ("Prof", "Capt", "Cmdr", "Lt", "Mt", "Rev", "Sgt", "Gov", "Sen", "Msgr")
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
        "figs": "figures",
        "Figs": "Figures",
        "ch": "chapter",
        "Ch": "Chapter",
        "sec": "section",
        "Sec": "Section",
        "art": "article",
        "Art": "Article",
        "eq": "equation",
        "Eq": "Equation",
        "ca": "circa",
        "c": "circa",
        "est": "established",
        "Est": "Established",
        "ext": "extension",
        "Ext": "Extension",
        "Rm": "Room",
        "Ste": "Suite",
    }
)
_WHOLE: Mapping[str, str] = MappingProxyType(
    {
        "e.g.": "for example",
        "i.e.": "that is",
        "a.k.a.": "also known as",
        "aka": "also known as",
        "Ph.D.": "P H D",
        "PhD": "P H D",
        "et al.": "et al",
        "viz.": "namely",
        "w/o": "without",
        "w/": "with",
        "n/a": "not applicable",
        "N/A": "not applicable",
        "c/o": "care of",
        "C/O": "care of",
        "b/c": "because",
        "s/he": "she or he",
        "24/7": "twenty-four seven",
        "9/11": "nine eleven",
    }
)
_PRONOUNS = "he|she|him|her|his|hers|they|them|their|man|woman|men|women|boy|girl|yes|no|mother|father|is|are|was|were"


def _before(match: re.Match[str]) -> str:
    """The words just before, as far as an address reaches back."""
    return match.string[max(0, match.start() - 60) : match.start()]


_MONTHS = frozenset("Jan Feb Apr Aug Sept Oct Nov Dec".split())
_PHRASE_BEFORE = re.compile(r"\A\W*(?:In|By|Since|Until|Before|After|During|in|by|since) \Z")
_NUMBER_FOLLOWS = re.compile(r" ?\d")
_CAPITAL_FOLLOWS = re.compile(r"[\"')\]]*\s+[\"'(]*[A-Z]")
_MONTH_EXPECTED = re.compile(
    r"\b(?:in|of|since|last|next|by|from|to|until|early|late|mid|this|every|\d+)\s\Z", re.IGNORECASE
)


def _always(match: re.Match[str]) -> str | None:
    word = match["word"]
    if word in _MONTHS and _NUMBER_FOLLOWS.match(match.string, match.end()):
        return None  # a date
    if word == "Jan" and not _MONTH_EXPECTED.search(_before(match)):
        return None
    if word in _MONTHS and _PHRASE_BEFORE.search(_before(match)):
        return _ALWAYS[word]  # "In Nov. I went": no sentence ends there.
    if word == "etc" and _CAPITAL_FOLLOWS.match(match.string, match.end()):
        return f"{_ALWAYS[word]}."
    return _ALWAYS[word] + full_stop_after(match)


_NAME_FOLLOWS = re.compile(r"\s+[A-Z]")


def _saint_or_street(match: re.Match[str]) -> str:
    name_follows = _NAME_FOLLOWS.match(match.string, match.end()) is not None
    if full_stop_after(match):
        return "Street."
    in_an_address = re.search(r"\d\w*(?:\s+[A-Z]\w*)+\s+\Z", _before(match))
    if name_follows and in_an_address is None:
        return "Saint"
    return f"Street{full_stop_after(match)}"


def _doctor_or_drive(match: re.Match[str]) -> str:
    name_follows = _NAME_FOLLOWS.match(match.string, match.end()) is not None
    after_a_name = re.search(r"[A-Z]\w*\s+\Z", _before(match))
    if name_follows or after_a_name is None:
        return "Doctor"
    return f"Drive{full_stop_after(match)}"


def _initials(match: re.Match[str]) -> str:
    letters = match.group().replace(".", " ").split()
    return " ".join(letters) + full_stop_after(match)


_NAME_BEFORE = re.compile(r"(?:\A|[.!?\"(]\s*|[A-Z][\w'.]*\s+)\Z")


def _initial(match: re.Match[str]) -> str | None:
    if match["next"].lower() in SENTENCE_WORDS["en"].openers or not _NAME_BEFORE.search(
        _before(match)
    ):
        return None
    return f"{match['letter']} "


def _week_end(match: re.Match[str]) -> str:
    date_follows = re.compile(r"\s+\d").match(match.string, match.end()) is not None
    return "week ending" if date_follows else "whatever"


ABBREVIATION_RULES: tuple[Rule, ...] = (
    Rule(
        "w/e",
        re.compile(r"(?<!\w)[wW]/e(?!\w)"),
        _week_end,
        (
            ("w/e, I don't care", "whatever, I don't care"),
            ("w/e 5 May", "week ending the fifth of May"),
        ),
    ),
    Rule(
        "Latin and short forms",
        re.compile(rf"(?<![\w/])(?P<word>{one_of(_WHOLE)})(?:(?<=[./])|(?![\w/]))(?!\d)"),
        lambda match: _WHOLE[match["word"]],
        (
            ("e.g. this", "for example this"),
            ("n/a", "not applicable"),
            ("c/o Mr. Hill", "care of Mister Hill"),
            ("open 24/7", "open twenty-four seven"),
            ("w/o sugar", "without sugar"),
        ),
    ),
    Rule(
        "one or the other",
        re.compile(
            rf"(?<![\w/])(?P<one>{_PRONOUNS})/(?={_PRONOUNS})(?=\w+(?![\w/]))", re.IGNORECASE
        ),
        lambda match: f"{match['one']} or ",
        (("he/she said", "he or she said"), ("his/her coat", "his or her coat")),
    ),
    Rule(
        "initials",
        re.compile(
            r"(?<![\w.])(?!(?<=\d )[APap]\.[Mm]\.)(?:[A-Za-z]\.){2,}(?!\w)|(?<![\w.])(?:[A-Z]\.){2,}(?=[A-Z][a-z])"
        ),
        _initials,
        (
            ("J.K. Rowling", "J K Rowling"),
            ("the U.S. Army", "the U S Army"),
            ("P.O. Box 5", "P O Box five"),
            ("from the U.S.", "from the U S."),
        ),
    ),
    Rule(
        "an initial in a name",
        re.compile(r"(?<![\w.'])(?P<letter>[A-Z])\. (?=(?P<next>[A-Z][\w.]\w*))"),
        _initial,
        (
            ("John F. Kennedy", "John F Kennedy"),
            ("J. K. Rowling", "J K Rowling"),
            ("Plan B. Then", "Plan B. Then"),
        ),
    ),
    Rule(
        "titles",
        re.compile(rf"\b(?P<word>{one_of(_TITLES)})\.(?!\w)|\b(?P<bare>Mr|Mrs|Ms|vs)\b(?!')"),
        lambda match: _TITLES[match["word"] or match["bare"]],
        (("Mr. Smith", "Mister Smith"), ("Mme. Curie", "Madame Curie"), ("Ms Green", "Miz Green")),
    ),
    Rule(
        "abbreviations",
        re.compile(rf"\b(?P<word>{one_of(_ALWAYS)})\.(?![A-Za-z_])"),
        _always,
        (
            ("Acme Inc. grew.", "Acme Incorporated grew."),
            ("cats, etc. The end.", "cats, et cetera. The end."),
            ("In Nov. I went", "In November I went"),
            ("Apt. 5", "Apartment five"),
            ("approx. 3 miles", "approximately three miles"),
        ),
    ),
    Rule(
        "ranks and first names",
        re.compile(
            rf"\b(?P<word>{one_of(_BEFORE_A_NAME)})\.(?=\s+[A-Z])"
            rf"|\b(?P<bare>{'|'.join(_WITHOUT_A_DOT)})(?= [A-Z][a-z])"
        ),
        lambda match: {**_BEFORE_A_NAME, "Prof": "Professor"}[match["word"] or match["bare"]],
        (
            ("Lieut. Dan", "Lieutenant Dan"),
            ("Wm. Smith", "William Smith"),
            ("Prof Smith", "Professor Smith"),
            ("Mt. Everest", "Mount Everest"),
        ),
    ),
    Rule(
        "abbreviations before a number",
        re.compile(rf"\b(?P<word>{one_of(_BEFORE_A_NUMBER)})\.\s?(?=\d)"),
        lambda match: f"{_BEFORE_A_NUMBER[match['word']]} ",
        (
            ("No. 5", "number five"),
            ("pp. 3-4", "pages three to four"),
            ("c. 1850", "circa eighteen fifty"),
        ),
    ),
    Rule(
        "Saint or Street",
        re.compile(r"\bSt\.(?!\w)|(?<![A-Z]\w )\bSt(?= [A-Z][a-z])"),
        _saint_or_street,
        (
            ("St. Peter", "Saint Peter"),
            ("12 Main St.", "twelve Main Street."),
            ("St Mary's", "Saint Mary's"),
        ),
    ),
    Rule(
        "Doctor or Drive",
        re.compile(r"\bDr\.(?!\w)|\bDr\b(?=\s+[A-Z])"),
        _doctor_or_drive,
        (("Dr. Brown", "Doctor Brown"), ("Sunset Dr. is long", "Sunset Drive is long")),
    ),
    Rule(
        "Road and Company",
        re.compile(r"(?<=[a-z]\s)Rd\.(?!\w)|(?<=[A-Za-z] )Co\.(?!\w)"),
        lambda match: ("Road" if match.group() == "Rd." else "Company") + full_stop_after(match),
        (("Acme Co. Ltd.", "Acme Company Limited."), ("Mill Rd. North", "Mill Road North")),
    ),
)
"""In the order in which they must be applied."""
