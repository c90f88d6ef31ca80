"""Numbers with a unit in English words: "5 kg", "6 ft. tall", "72°F/22°C", "GB/s"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from openbark.text.normalize.money import WHOLE
from openbark.text.normalize.rules import Rule, full_stop_after, one_of


def _metric(name: str) -> tuple[str, str]:
    return name, f"{name}s"


_UNITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "kg": _metric("kilogram"),
        "kgs": _metric("kilogram"),
        "g": _metric("gram"),
        "mg": _metric("milligram"),
        "µg": _metric("microgram"),
        "mcg": _metric("microgram"),
        "ng": _metric("nanogram"),
        "km": _metric("kilometer"),
        "m": _metric("meter"),
        "dm": _metric("decimeter"),
        "cm": _metric("centimeter"),
        "mm": _metric("millimeter"),
        "µm": _metric("micrometer"),
        "nm": _metric("nanometer"),
        "l": _metric("liter"),
        "L": _metric("liter"),
        "dl": _metric("deciliter"),
        "cl": _metric("centiliter"),
        "ml": _metric("milliliter"),
        "mL": _metric("milliliter"),
        "µl": _metric("microliter"),
        "ha": _metric("hectare"),
        "tsp": _metric("teaspoon"),
        "tsps": _metric("teaspoon"),
        "tbsp": _metric("tablespoon"),
        "tbsps": _metric("tablespoon"),
        "Tbsp": _metric("tablespoon"),
        "oz": _metric("ounce"),
        "fl oz": _metric("fluid ounce"),
        "fl. oz": _metric("fluid ounce"),
        "lb": _metric("pound"),
        "lbs": _metric("pound"),
        "pt": _metric("pint"),
        "qt": _metric("quart"),
        "gal": _metric("gallon"),
        "in": ("inch", "inches"),
        "ft": ("foot", "feet"),
        "yd": _metric("yard"),
        "yds": _metric("yard"),
        "mi": _metric("mile"),
        "sq ft": ("square foot", "square feet"),
        "sq. ft": ("square foot", "square feet"),
        "sq in": ("square inch", "square inches"),
        "sq. in": ("square inch", "square inches"),
        "sq mi": _metric("square mile"),
        "sq. mi": _metric("square mile"),
        "sq km": _metric("square kilometer"),
        "sq m": _metric("square meter"),
        "cu ft": ("cubic foot", "cubic feet"),
        "mph": ("mile per hour", "miles per hour"),
        "mpg": ("mile per gallon", "miles per gallon"),
        "kph": ("kilometer per hour", "kilometers per hour"),
        "km/h": ("kilometer per hour", "kilometers per hour"),
        "rpm": ("revolution per minute", "revolutions per minute"),
        "bpm": ("beat per minute", "beats per minute"),
        "fps": ("frame per second", "frames per second"),
        "psi": ("pound per square inch", "pounds per square inch"),
        "Hz": ("hertz", "hertz"),
        "kHz": ("kilohertz", "kilohertz"),
        "MHz": ("megahertz", "megahertz"),
        "GHz": ("gigahertz", "gigahertz"),
        "kB": _metric("kilobyte"),
        "KB": _metric("kilobyte"),
        "MB": _metric("megabyte"),
        "GB": _metric("gigabyte"),
        "TB": _metric("terabyte"),
        "PB": _metric("petabyte"),
        "kbps": ("kilobit per second", "kilobits per second"),
        "Mbps": ("megabit per second", "megabits per second"),
        "Gbps": ("gigabit per second", "gigabits per second"),
        "Mbit": _metric("megabit"),
        "Gbit": _metric("gigabit"),
        "ns": _metric("nanosecond"),
        "µs": _metric("microsecond"),
        "ms": _metric("millisecond"),
        "s": _metric("second"),
        "sec": _metric("second"),
        "secs": _metric("second"),
        "min": _metric("minute"),
        "mins": _metric("minute"),
        "h": _metric("hour"),
        "hr": _metric("hour"),
        "hrs": _metric("hour"),
        "yr": _metric("year"),
        "yrs": _metric("year"),
        "mo": _metric("month"),
        "mos": _metric("month"),
        "wk": _metric("week"),
        "wks": _metric("week"),
        "W": _metric("watt"),
        "kW": _metric("kilowatt"),
        "MW": _metric("megawatt"),
        "GW": _metric("gigawatt"),
        "Wh": ("watt hour", "watt hours"),
        "kWh": ("kilowatt hour", "kilowatt hours"),
        "MWh": ("megawatt hour", "megawatt hours"),
        "mAh": ("milliamp hour", "milliamp hours"),
        "V": _metric("volt"),
        "mV": _metric("millivolt"),
        "kV": _metric("kilovolt"),
        "mA": _metric("milliamp"),
        "Ω": _metric("ohm"),
        "kΩ": _metric("kilohm"),
        "MΩ": _metric("megohm"),
        "kJ": _metric("kilojoule"),
        "cal": _metric("calorie"),
        "kcal": _metric("kilocalorie"),
        "Pa": ("pascal", "pascals"),
        "hPa": ("hectopascal", "hectopascals"),
        "kPa": ("kilopascal", "kilopascals"),
        "dB": _metric("decibel"),
        "hp": ("horsepower", "horsepower"),
        "ppm": ("part per million", "parts per million"),
        "°": _metric("degree"),
        "°C": ("degree Celsius", "degrees Celsius"),
        "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "° C": ("degree Celsius", "degrees Celsius"),
        "° F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "¢": _metric("cent"),
    }
)
_PER: Mapping[str, str] = MappingProxyType(
    {
        "s": "second",
        "sec": "second",
        "min": "minute",
        "h": "hour",
        "hr": "hour",
        "d": "day",
        "day": "day",
        "wk": "week",
        "week": "week",
        "mo": "month",
        "month": "month",
        "yr": "year",
        "year": "year",
        "kg": "kilogram",
        "g": "gram",
        "lb": "pound",
        "l": "liter",
        "L": "liter",
        "dl": "deciliter",
        "dL": "deciliter",
        "ml": "milliliter",
        "mL": "milliliter",
        "m": "meter",
        "km": "kilometer",
        "person": "person",
        "night": "night",
        "gal": "gallon",
    }
)
# "5 in the room" is not a length: inches have a dot, or a word of size behind them.
_NOT_A_PLAIN_IN = r"(?!(?<= )in(?!\.|[- ](?:wide|long|tall|thick|deep|high|in diameter|x|by)\b))"
_WRITTEN_WITH_A_DOT = frozenset(
    "in ft lb lbs oz tsp tsps tbsp tbsps Tbsp yd yds pt qt gal hr hrs min mins sec secs yr yrs mo mos wk wks mi".split()
) | frozenset(("sq ft", "sq. ft", "sq in", "sq. in", "sq mi", "sq. mi", "cu ft", "fl oz", "fl. oz"))
_UNIT = one_of(_UNITS)


_ARTICLE_BEFORE = re.compile(r"\b(?:[Aa]n?|[Tt]he|[Tt]his|[Tt]hat|[Ee]ach|[Ee]very|[Oo]ne) \Z")
_NOUN_FOLLOWS = re.compile(
    r"[ -](?!(?:is|was|are|were|of|to|in|and|or|that|which|per|for|on|at|from|by|with|than|more|less|each|a|an|the)\b)[a-z]"
)


def _describes(match: re.Match[str]) -> bool:
    """Whether the measure describes the noun behind it: "a 5 kg bag" is a five kilogram bag."""
    before = match.string[max(0, match.start() - 8) : match.start()]
    return (
        _ARTICLE_BEFORE.search(before) is not None
        and _NOUN_FOLLOWS.match(match.string, match.end()) is not None
    )


def _measure(match: re.Match[str]) -> str:
    unit, number, dot = match["unit"], match["number"], match["dot"] or ""
    one, many = _UNITS[unit]
    # A part of a whole is one: "1/2 tsp" is half a teaspoon.
    is_part = (
        match["top"] is not None
        and match["whole"] is None
        and int(match["top"]) < int(match["bottom"])
    )
    is_single = number == "1" or is_part or _describes(match)
    words = f"{number} {one if is_single else many}"
    if match["per"]:
        return f"{words} per {_PER[match['per']]}{dot}"
    return words + (full_stop_after(match) if unit in _WRITTEN_WITH_A_DOT else dot)


def _feet_and_inches(match: re.Match[str]) -> str:
    inches = " inches" if "in" in match.group() else ""
    return f"{match[1]} {'foot' if match[1] == '1' else 'feet'} {match[2]}{inches}"


def _inches(match: re.Match[str]) -> str | None:
    """Inches, unless the mark closes a quotation that was opened close before."""
    before = match.string[max(0, match.start() - 300) : match.start()]
    if before.count('"') % 2:
        return None
    is_single = match["number"] == "1" or _describes(match)
    return f"{match['number']} {'inch' if is_single else 'inches'}"


MEASURE_RULES: tuple[Rule, ...] = (
    Rule(
        "feet and inches",
        re.compile(r"(?<![\d.,])(\d{1,2})(?:'| ?ft\.?) ?(\d{1,2}(?:\.\d)?)(?:\"|''| ?in\b)(?!\w)"),
        _feet_and_inches,
        (("5'10\"", "five feet ten"), ("6' 2\" tall", "six feet two tall")),
    ),
    Rule(
        "inches",
        re.compile(r"(?<![\w.,:/'])(?P<number>\d+(?:\.\d+)?)\"(?![\w])"),
        _inches,
        (('a 12" ruler', "a twelve inch ruler"), ('"It is 12"', '"It is twelve"')),
    ),
    Rule(
        "feet",
        re.compile(r"(?<![\w.,:/'])(?P<number>\d+)'(?= (?:tall|wide|long|high|deep|x|by)\b)"),
        lambda match: f"{match['number']} {'foot' if match['number'] == '1' else 'feet'}",
        (("6' tall", "six feet tall"),),
    ),
    Rule(
        "one measure or the other",
        re.compile(
            r"(?<=°[CF]) ?/ ?(?=-?\d)|(?<=[\d ](?:kg|km|cm|lb|ft|mi|ml|oz)) ?/ ?(?=\d)|(?<=lbs) ?/ ?(?=\d)"
        ),
        lambda match: " or ",
        (
            ("72°F/22°C", "seventy-two degrees Fahrenheit or twenty-two degrees Celsius"),
            ("5 kg/11 lbs", "five kilograms or eleven pounds"),
        ),
    ),
    Rule(
        "measures",
        re.compile(
            rf"(?<![\d.,/])(?P<number>(?:(?P<whole>\d{{1,3}}) )?(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,3}})"
            rf"|{WHOLE}(?:\.\d+)?|\.\d+)"
            rf"(?: |-(?=[a-zA-Z]{{2}})|(?!s\b|mo\b)){_NOT_A_PLAIN_IN}(?P<unit>{_UNIT})(?!\w)"
            rf"(?:/(?P<per>{one_of(_PER)})(?!\w)|(?!/\w))(?P<dot>\.(?!\w))?"
        ),
        _measure,
        (
            ("5kg", "five kilograms"),
            ("a 5 kg bag", "a five kilogram bag"),
            ("25 µg", "twenty-five micrograms"),
            ("2 lbs. chicken", "two pounds chicken"),
            ("6 ft. tall", "six feet tall"),
            ("5 in. wide", "five inches wide"),
            ("10 GB/s", "ten gigabytes per second"),
            ("120 bpm", "one hundred and twenty beats per minute"),
            ("1/2 tsp", "one half teaspoon"),
            ("5 in the room", "five in the room"),
        ),
    ),
    Rule(
        "measures of millions",
        re.compile(rf"\b(?P<scale>thousand|million|billion) (?P<unit>{_UNIT})(?!\w)(?<! in)"),
        lambda match: f"{match['scale']} {_UNITS[match['unit']][1]}",
        (("5 million km", "five million kilometers"),),
    ),
)
"""In the order in which they must be applied."""
