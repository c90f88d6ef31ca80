"""Money, measures, fractions, telephone numbers and plain numbers in English words.

Dates, times and years are `openbark.text.calendar`, which must be applied where `QUANTITY_RULES` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from openbark.text.calendar import DATE_RULES, TIME_RULES, YEAR_RULES
from openbark.text.numbers import cardinal, decimal, digit_by_digit, integer, ordinal, quantity
from openbark.text.rules import Rule

__all__ = ["QUANTITY_RULES"]

_WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_SCALE = r"(?:\s?(?P<scale>(?:thousand|million|billion|trillion)\b|(?:k|K|m|M|mn|b|B|bn)(?![\w.]\w|\w)))?"
_SCALES = MappingProxyType(
    {
        "k": "thousand",
        "m": "million",
        "mn": "million",
        "b": "billion",
        "bn": "billion",
    }
)
_CURRENCIES: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    {
        "$": ("dollar", "dollars", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
        "€": ("euro", "euros", "cent", "cents"),
        "¥": ("yen", "yen", "sen", "sen"),
    }
)
_UNITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "kg": ("kilogram", "kilograms"),
        "mg": ("milligram", "milligrams"),
        "km": ("kilometer", "kilometers"),
        "cm": ("centimeter", "centimeters"),
        "mm": ("millimeter", "millimeters"),
        "ml": ("milliliter", "milliliters"),
        "mph": ("mile per hour", "miles per hour"),
        "km/h": ("kilometer per hour", "kilometers per hour"),
        "kph": ("kilometer per hour", "kilometers per hour"),
        "m/s": ("meter per second", "meters per second"),
        "lb": ("pound", "pounds"),
        "lbs": ("pound", "pounds"),
        "oz": ("ounce", "ounces"),
        "ft": ("foot", "feet"),
        "Hz": ("hertz", "hertz"),
        "kHz": ("kilohertz", "kilohertz"),
        "MHz": ("megahertz", "megahertz"),
        "GHz": ("gigahertz", "gigahertz"),
        "kB": ("kilobyte", "kilobytes"),
        "KB": ("kilobyte", "kilobytes"),
        "MB": ("megabyte", "megabytes"),
        "GB": ("gigabyte", "gigabytes"),
        "TB": ("terabyte", "terabytes"),
        "ms": ("millisecond", "milliseconds"),
        "sec": ("second", "seconds"),
        "min": ("minute", "minutes"),
        "hr": ("hour", "hours"),
        "hrs": ("hours", "hours"),
        "kW": ("kilowatt", "kilowatts"),
        "dB": ("decibel", "decibels"),
        "°": ("degree", "degrees"),
        "°C": ("degree Celsius", "degrees Celsius"),
        "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "¢": ("cent", "cents"),
    }
)
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_PARTS = MappingProxyType({2: ("half", "halves"), 4: ("quarter", "quarters")})
_LARGEST_DENOMINATOR = 100
_FEW_DIGITS = 12
_NAMES_OF_FRACTIONS = MappingProxyType({"24/7": "twenty-four seven", "9/11": "nine eleven"})


def _money(match: re.Match[str]) -> str:
    one, many, small_one, small_many = _CURRENCIES[match["currency"]]
    whole, fraction, scale = match["whole"], match["fraction"], match["scale"]
    if scale:
        scale_word = _SCALES.get(scale.lower(), scale.lower())
        amount = decimal(whole, fraction) if fraction else quantity(whole)
        return f"{amount} {scale_word} {many}"
    if fraction is not None and len(fraction) != 2:
        return f"{decimal(whole, fraction)} {many}"
    cents = int(fraction or 0)
    large = f"{quantity(whole)} {one if whole == '1' else many}"
    small = f"{cardinal(cents)} {small_one if cents == 1 else small_many}"
    if not cents:
        return large
    return small if whole == "0" else f"{large} and {small}"


def _measure(match: re.Match[str]) -> str:
    one, many = _UNITS[match["unit"]]
    return f"{match['number']} {one if match['number'] == '1' else many}"


def _fraction(match: re.Match[str]) -> str:
    whole = match["whole"]
    if match.group() in _NAMES_OF_FRACTIONS:
        return _NAMES_OF_FRACTIONS[match.group()]
    if len(match["top"]) > _FEW_DIGITS or len(match["bottom"]) > _FEW_DIGITS:
        return f"{integer(match['top'])} over {integer(match['bottom'])}"
    top, bottom = int(match["top"]), int(match["bottom"])
    if not 0 < top < bottom or bottom > _LARGEST_DENOMINATOR:
        words = f"{cardinal(top)} over {cardinal(bottom)}"
    else:
        name = ordinal(bottom)
        one, many = _PARTS.get(bottom, (name, f"{name}s"))
        words = f"{cardinal(top)} {one if top == 1 else many}"
    return f"{integer(whole)} and {words}" if whole else words


def _telephone(match: re.Match[str]) -> str:
    plus = "plus " if match.group().startswith("+") else ""
    groups = re.findall(r"\d+", match.group())
    return plus + ", ".join(digit_by_digit(group) for group in groups)


def _ordinal(match: re.Match[str]) -> str | None:
    digits = match["digits"].replace(",", "")
    return ordinal(int(digits)) if len(digits) <= _FEW_DIGITS else None


def _dotted(match: re.Match[str]) -> str:
    return " point ".join(integer(part) for part in match.group().split("."))


QUANTITY_RULES: tuple[Rule, ...] = (
    # A comma between digits that separates no thousands separates numbers.
    Rule(re.compile(r"(?<=\d),(?=\d)(?!\d{3}(?!\d))"), lambda match: ", "),
    *DATE_RULES,
    Rule(
        re.compile(
            r"(?<![\w.,-])(?:\+?\d{1,3}[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w-])"
            r"|(?<![\w.,$£€-])\d{3}-\d{4}(?![\w-])"
            r"|\b\d+(?:-\d+){2,}\b"
            r"|(?<![\w.])\+\d{1,3}(?: \d{2,5}){1,4}(?![\w-])"
        ),
        _telephone,
    ),
    Rule(re.compile(r"(?<=\d[ap]m)\s?-\s?(?=\d)|(?<=:\d\d)\s?-\s?(?=\d)"), lambda match: " to "),
    *TIME_RULES,
    Rule(
        re.compile(r"(?<![\d.,])(\d)'(\d{1,2})\"(?!\w)"),
        lambda match: f"{match[1]} feet {match[2]}",
    ),
    Rule(re.compile(r"(?<=\d):(?=\d)"), lambda match: " to "),
    Rule(re.compile(r"#(?=\d)"), lambda match: "number "),
    Rule(re.compile(r"(?<![\w)\]%.,$£€¥-])-(?=[$£€¥]?\.?\d)"), lambda match: "minus "),
    Rule(re.compile(r"(?<=\d) - (?=\d)"), lambda match: " minus "),
    Rule(re.compile(r"(?<=\d)(?P<unit>[%¢]?)-(?=[$£€¥]?\d)"), lambda match: f"{match['unit']} to "),
    Rule(
        re.compile(
            rf"(?<!\d)(?<!\d )(?P<currency>[$£€¥])\s?(?P<whole>{_WHOLE})(?:\.(?P<fraction>\d+))?{_SCALE}"
        ),
        _money,
    ),
    Rule(
        re.compile(
            rf"(?<![\d.,])(?P<whole>{_WHOLE})(?:\.(?P<fraction>\d+))?{_SCALE}\s?(?P<currency>[$£€¥])"
        ),
        _money,
    ),
    Rule(re.compile(r"(?<=\d)\s?%"), lambda match: " percent"),
    Rule(
        re.compile(r"(?<![\w/.])(?:(?P<whole>\d{1,3}) )?(?P<top>\d+)/(?P<bottom>\d+)(?![\w/])"),
        _fraction,
    ),
    Rule(
        re.compile(rf"(?<![\d.,])(?P<number>{_WHOLE}(?:\.\d+)?)\s?(?P<unit>{_UNIT})(?![\w/])"),
        _measure,
    ),
    Rule(
        re.compile(rf"(?<![\d.,])(?P<digits>{_WHOLE})(?:st|nd|rd|th)\b", re.IGNORECASE),
        _ordinal,
    ),
    Rule(re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}"), _dotted),
    *YEAR_RULES,
    Rule(
        re.compile(rf"(?<!\d)({_WHOLE})?\.(\d+)"), lambda match: decimal(match[1] or "", match[2])
    ),
    Rule(re.compile(_WHOLE), lambda match: integer(match.group())),
)
"""In the order in which they must be applied: the most specific writing first, bare digits last."""
