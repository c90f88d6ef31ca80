"""SSML's <say-as> in words: characters, digits, ordinals, cardinals, dates, telephone numbers.

English words for English; for other languages only what needs no words is done.
"""

from __future__ import annotations

import re

from openbark.text.normalize.calendar import date_words
from openbark.text.normalize.numbers import digit_by_digit, ordinal, quantity
from openbark.text.normalize.roman import roman_value

INTERPRETATIONS = frozenset(
    (
        "characters,character,spell-out,verbatim,digits,ordinal,cardinal,number,date,telephone,phone,time,currency,unit,"
        "fraction,address,name,net,vxml:date,vxml:digits,vxml:phone,vxml:number"
    ).split(",")
)
"""Values of interpret-as that are understood; the text of those without a case below is read by the usual rules."""

_ORDERS = frozenset(("mdy", "dmy", "ymd", "md", "dm", "ym", "my", "y", "m", "d", "ydm", "yyyymmdd"))


def said_as(text: str, interpretation: str, format: str, language: str | None) -> str:
    """`text` the way `interpretation` wants it; itself where the rules read it right anyhow."""
    kind = interpretation.lower().removeprefix("vxml:")
    plain = " ".join(text.split())
    if kind in ("characters", "character", "spell-out", "verbatim"):
        return " ".join(letter.upper() for letter in plain if not letter.isspace())
    if kind == "digits":
        return " ".join(letter for letter in plain if letter.isdigit()) or text
    if language not in (None, "en"):
        return text
    digits = re.sub(r"[, ]", "", plain)
    if kind == "ordinal":
        number = (
            int(digits) if digits.isdecimal() and len(digits) < 15 else roman_value(digits.upper())
        )
        return text if number is None else ordinal(number)
    if kind in ("cardinal", "number"):
        value = roman_value(digits)
        if value is not None:
            return quantity(str(value))
        return quantity(digits) if re.fullmatch(r"[0-9]+", digits) else text
    if kind in ("telephone", "phone"):
        groups = re.findall(r"\d+", plain)
        plus = "plus " if plain.startswith("+") else ""
        return plus + ", ".join(digit_by_digit(group) for group in groups) if groups else text
    if kind == "date":
        return _date(plain, format.lower()) or text
    return text


def _date(text: str, order: str) -> str | None:
    if order == "yyyymmdd":
        order = "ymd"
    if order not in _ORDERS:
        return None
    compact = re.fullmatch(r"(\d{4})(\d{2})(\d{2})", text)
    parts = list(compact.groups()) if compact and order == "ymd" else re.findall(r"\d+", text)
    if len(parts) != len(order) or any(len(part) > 4 for part in parts):
        return None
    found = dict(zip(order, parts, strict=True))
    return date_words(found.get("y"), found.get("m"), found.get("d"))
