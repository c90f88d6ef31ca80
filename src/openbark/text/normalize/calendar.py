"""Dates, times of day and decades in English words.

Month first where a date of slashes could be read both ways (American order).
"""

from __future__ import annotations

import re

from openbark.text.normalize.numbers import cardinal, ordinal, small_after, year
from openbark.text.normalize.rules import Rule, full_stop_after

_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_NO_MORE_DIGITS = r"(?![\w:%]|[.,/-]\d)"
_YEAR = rf"(?P<year>\d{{4}}){_NO_MORE_DIGITS}"
_DATE_EXPECTED = re.compile(
    r"\b(?:on|by|until|till|since|before|after|from|due|dated)\s\Z", re.IGNORECASE
)
_IN = re.compile(r"\b[Ii]n\s\Z")
_COMMA = re.compile(r",")
_COUNTED = re.compile(
    r"\s(?:people|men|women|children|more|other|new|of|(?!is\b|was\b|has\b|does\b|as\b|this\b|comes\b|falls\b|marks\b)[a-z]{3,}s)\b"
)
_DENOMINATORS = (16, 20, 32)
_HALF_OF_DAY = r"(?P<half>[ap])(?:m\b|\.m\.)"


def read_year(digits: str) -> str:
    """A year as written: four digits from 1100 to 2099 in pairs, two digits after the century."""
    number = int(digits)
    if 1100 <= number < 2100:
        return year(number)
    return small_after(number) if len(digits) == 2 else cardinal(number)


def _date(month: int, day: int, year_digits: str | None) -> str | None:
    return date_words(year_digits, str(month), str(day))


def date_words(year_digits: str | None, month: str | None, day: str | None) -> str | None:
    """The words of a date or of a part of one, from digits; None for no day or month of the calendar."""
    if month is not None and not 1 <= int(month) <= 12:
        return None
    if day is not None and not 1 <= int(day) <= 31:
        return None
    name = _MONTHS[int(month) - 1] if month is not None else ""
    head = " ".join(each for each in (name, ordinal(int(day)) if day is not None else "") if each)
    if year_digits is None:
        return head or None
    return (
        f"{head}, {read_year(year_digits)}"
        if day is not None
        else f"{head} {read_year(year_digits)}".strip()
    )


def _iso_date(match: re.Match[str]) -> str | None:
    return _date(int(match["month"]), int(match["day"]), match["year"])


def _slash_date(match: re.Match[str]) -> str | None:
    first, second = int(match["first"]), int(match["second"])
    return _date(first, second, match["year"]) or _date(second, first, match["year"])


def _month_number(match: re.Match[str]) -> int:
    return [month[:3] for month in _MONTHS].index(match["month"][:3]) + 1


def _month_day(match: re.Match[str]) -> str | None:
    before = match.string[max(0, match.start() - 12) : match.start()]
    if match["year"] is None and match["th"] is None:
        # "in May 3 people": the month alone, then a number of people.
        if _IN.search(before) and not _COMMA.match(match.string, match.end()):
            return None
        if _COUNTED.match(match.string, match.end()) and not _DATE_EXPECTED.search(before):
            return None
    return _date(_month_number(match), int(match["day"]), match["year"])


def _day_month(match: re.Match[str]) -> str | None:
    month, day = _month_number(match), int(match["day"])
    if not 1 <= day <= 31:
        return None
    words = f"{match['the'] or 'the '}{ordinal(day)} of {_MONTHS[month - 1]}"
    return f"{words}, {read_year(match['year'])}" if match["year"] else words


def _month_year(match: re.Match[str]) -> str:
    return f"{_MONTHS[_month_number(match) - 1]} {read_year(match['year'])}"


def _time(match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 24 or minute > 59:
        return None
    half = match["half"]
    if minute:
        words = f"{cardinal(hour)} {small_after(minute)}"
    elif half:
        words = cardinal(hour)
    elif 1 <= hour <= 12:
        words = f"{cardinal(hour)} o'clock"
    else:
        words = f"{cardinal(hour)} hundred hours"
    if match["second"]:
        seconds = int(match["second"])
        words += f" and {cardinal(seconds)} second{'' if seconds == 1 else 's'}"
    return words + _half_of_day(match)


def _hour(match: re.Match[str]) -> str | None:
    hour = int(match["hour"])
    return cardinal(hour) + _half_of_day(match) if 1 <= hour <= 12 else None


def _half_of_day(match: re.Match[str]) -> str:
    return f" {match['half'].lower()} m{full_stop_after(match)}" if match["half"] else ""


def _dotted_date(match: re.Match[str]) -> str | None:
    """Day first, as it is written with dots; month first only where nothing else is a date."""
    first, second = int(match["first"]), int(match["second"])
    return _date(second, first, match["year"]) or _date(first, second, match["year"])


def _month_and_day_in_numbers(match: re.Match[str]) -> str | None:
    """ "12/25": a day after a word such as "on", or where such a fraction is not written."""
    month, day = int(match["month"]), int(match["day"])
    said = _DATE_EXPECTED.search(match.string[max(0, match.start() - 12) : match.start()])
    no_fraction = month > 1 and 12 < day not in _DENOMINATORS
    return _date(month, day, None) if said or no_fraction else None


def _decade(match: re.Match[str]) -> str | None:
    digits = match["digits"]
    tens = int(digits[-2:])
    if tens % 10 or (len(digits) == 2 and tens < 20):
        return None
    if len(digits) == 4 and not 1100 <= int(digits) < 2100:
        return None
    words = read_year(digits)
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


DATE_RULES: tuple[Rule, ...] = (
    Rule(
        "dates as year, month and day",
        re.compile(r"(?<![\d/-])(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?![\d-])"),
        _iso_date,
        (("2026-11-20", "November twentieth, twenty twenty-six"),),
    ),
    Rule(
        "dates with slashes",
        re.compile(
            r"(?<![\d/])(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>\d{4}|\d{2})(?![\d/])"
        ),
        _slash_date,
        (
            ("11/20/2026", "November twentieth, twenty twenty-six"),
            ("20/11/2026", "November twentieth, twenty twenty-six"),
        ),
    ),
    Rule(
        "dates with dots",
        re.compile(
            r"(?<![\d.])(?P<first>\d{1,2})\.(?P<second>\d{1,2})\.(?P<year>(?:1[5-9]|20)\d\d|(?<=\d\d\.\d\d\.)\d\d)(?![\d.]\d|\d)"
        ),
        _dotted_date,
        (
            ("15.01.2024", "January fifteenth, twenty twenty-four"),
            ("3.4.2020", "April third, twenty twenty"),
        ),
    ),
    Rule(
        "dates of month and day in numbers",
        re.compile(
            r"(?<![\w/.,])(?P<month>1[0-2]|0?[1-9])/(?P<day>3[01]|[12]\d|0?[1-9])(?![\w/%]|[.,]\d)"
            r"(?!\s?(?:of|inch|inches|in\.|cups?|miles?|teaspoons?|tablespoons?|tsp|tbsp|pounds?|lbs?)\b|\")"
        ),
        _month_and_day_in_numbers,
        (
            ("on 12/25", "on December twenty-fifth"),
            ("12/25", "December twenty-fifth"),
            ("by 3/4", "by March fourth"),
            ("3/16 inch", "three sixteenths inch"),
        ),
    ),
    Rule(
        "dates as day and month",
        re.compile(
            rf"\b(?P<the>[Tt]he )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? {_YEAR})?"
        ),
        _day_month,
        (("5 June", "the fifth of June"), ("The 4th of July", "The fourth of July")),
    ),
    Rule(
        "dates as month and day",
        re.compile(
            rf"\b{_MONTH} (?P<day>\d{{1,2}})(?P<th>st|nd|rd|th)?{_NO_MORE_DIGITS}(?:,? {_YEAR})?"
        ),
        _month_day,
        (
            ("Nov. 20, 2026", "November twentieth, twenty twenty-six"),
            ("May 5 is a Tuesday", "May fifth is a Tuesday"),
            ("in May 3 people left", "in May three people left"),
        ),
    ),
    Rule(
        "month and year",
        re.compile(rf"\b{_MONTH} {_YEAR}"),
        _month_year,
        (("May 2026", "May twenty twenty-six"),),
    ),
)

TIME_RULES: tuple[Rule, ...] = (
    Rule(
        "times of day",
        re.compile(
            r"(?<![\d:.])(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?![\d:])"
            rf"(?:\s?{_HALF_OF_DAY}| o'clock)?",
            re.IGNORECASE,
        ),
        _time,
        (
            ("3:05", "three oh five"),
            ("10:00 p.m. today", "ten p m today"),
            ("14:00", "fourteen hundred hours"),
            ("3:45pm", "three forty-five p m"),
        ),
    ),
    Rule(
        "hours",
        re.compile(rf"(?<![\d:.,])(?P<hour>\d{{1,2}})\s?{_HALF_OF_DAY}", re.IGNORECASE),
        _hour,
        (("10am", "ten a m"), ("at 5 p.m. The dog", "at five p m. The dog")),
    ),
)

YEAR_RULES: tuple[Rule, ...] = (
    Rule(
        "decades",
        re.compile(r"'?\b(?P<digits>\d{4}|\d{2})'?s\b"),
        _decade,
        (("the 1990s", "the nineteen nineties"), ("the '80s", "the eighties")),
    ),
    Rule(
        "years without a century",
        re.compile(r"(?<!\w)'(?P<year>\d\d)(?!\w|')"),
        lambda match: small_after(int(match["year"])),
        (("the summer of '69", "the summer of sixty-nine"), ("class of '05", "class of oh five")),
    ),
    Rule(
        "years",
        re.compile(r"(?<![\d.,/:$#])\b(?:1[1-9]|20)\d\d(?!\w|[.,/:]\d)"),
        lambda match: read_year(match.group()),
        (("in 1999", "in nineteen ninety-nine"), ("2005", "two thousand and five")),
    ),
)
"""To be applied after every rule that reads four digits as something else."""
