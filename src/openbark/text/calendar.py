"""Dates, times of day and decades in English words.

Month first where a date of slashes could be read both ways (American order).
"""

from __future__ import annotations

import re

from openbark.text.numbers import cardinal, ordinal, small_after, year
from openbark.text.rules import Rule

__all__ = ["DATE_RULES", "TIME_RULES", "YEAR_RULES", "read_year"]

_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_NO_MORE_DIGITS = r"(?![\w:%]|[.,/-]\d)"
_YEAR = rf"(?P<year>\d{{4}}){_NO_MORE_DIGITS}"
_HALF_OF_DAY = r"(?P<half>[ap])(?:m\b|\.m\.)"


def read_year(digits: str) -> str:
    """A year as written: four digits from 1100 to 2099 in pairs, two digits after the century."""
    number = int(digits)
    if 1100 <= number < 2100:
        return year(number)
    return small_after(number) if len(digits) == 2 else cardinal(number)


def _date(month: int, day: int, year_digits: str | None) -> str | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    words = f"{_MONTHS[month - 1]} {ordinal(day)}"
    return f"{words}, {read_year(year_digits)}" if year_digits else words


def _iso_date(match: re.Match[str]) -> str | None:
    return _date(int(match["month"]), int(match["day"]), match["year"])


def _slash_date(match: re.Match[str]) -> str | None:
    first, second = int(match["first"]), int(match["second"])
    return _date(first, second, match["year"]) or _date(second, first, match["year"])


def _month_number(match: re.Match[str]) -> int:
    return [month[:3] for month in _MONTHS].index(match["month"][:3]) + 1


def _month_day(match: re.Match[str]) -> str | None:
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
    if not match["half"]:
        return ""
    rest = match.string[match.end() :]
    ends = match.group().endswith(".") and (not rest.strip() or re.match(r"\s+[A-Z]", rest))
    return f" {match['half'].lower()} m{'.' if ends else ''}"


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
        re.compile(r"(?<![\d/-])(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?![\d-])"),
        _iso_date,
    ),
    Rule(
        re.compile(
            r"(?<![\d/])(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>\d{4}|\d{2})(?![\d/])"
        ),
        _slash_date,
    ),
    Rule(
        re.compile(
            rf"\b(?P<the>[Tt]he )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? {_YEAR})?"
        ),
        _day_month,
    ),
    Rule(
        re.compile(
            rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_NO_MORE_DIGITS}(?:,? {_YEAR})?"
        ),
        _month_day,
    ),
    Rule(re.compile(rf"\b{_MONTH} {_YEAR}"), _month_year),
)

TIME_RULES: tuple[Rule, ...] = (
    Rule(
        re.compile(
            r"(?<![\d:.])(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?![\d:])"
            rf"(?:\s?{_HALF_OF_DAY})?",
            re.IGNORECASE,
        ),
        _time,
    ),
    Rule(
        re.compile(rf"(?<![\d:.,])(?P<hour>\d{{1,2}})\s?{_HALF_OF_DAY}", re.IGNORECASE),
        _hour,
    ),
)

YEAR_RULES: tuple[Rule, ...] = (
    Rule(re.compile(r"'?\b(?P<digits>\d{4}|\d{2})'?s\b"), _decade),
    Rule(
        re.compile(r"(?<![\d.,/:$#])\b(?:1[1-9]|20)\d\d(?!\w|[.,/:]\d)"),
        lambda match: read_year(match.group()),
    ),
)
"""To be applied after every rule that reads four digits as something else."""
