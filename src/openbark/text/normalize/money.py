"""Amounts of money in English words: signs and codes of currencies, cents, ranges, millions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from openbark.text.normalize.numbers import cardinal, decimal, quantity
from openbark.text.normalize.rules import Rule, one_of

WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
"""A whole number, its thousands separated by commas or not."""

SCALE = (
    r"(?:\s?(?P<scale>(?:thousand|million|billion|trillion)\b"
    r"|(?:k|K|m|M|mn|mln|b|B|bn|tn)(?![\w.]\w|\w)))?"
)
_SCALES = MappingProxyType(
    {
        "k": "thousand",
        "m": "million",
        "mn": "million",
        "mln": "million",
        "b": "billion",
        "bn": "billion",
        "tn": "trillion",
    }
)
_CURRENCIES: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    {
        "$": ("dollar", "dollars", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
        "€": ("euro", "euros", "cent", "cents"),
        "¥": ("yen", "yen", "sen", "sen"),
        "₹": ("rupee", "rupees", "paisa", "paise"),
        "₽": ("ruble", "rubles", "kopek", "kopeks"),
        "₩": ("won", "won", "jeon", "jeon"),
        "₿": ("bitcoin", "bitcoins", "cent", "cents"),
        "₺": ("lira", "lira", "kurus", "kurus"),
        "₪": ("shekel", "shekels", "agora", "agorot"),
        "₫": ("dong", "dong", "xu", "xu"),
        "₴": ("hryvnia", "hryvnias", "kopek", "kopeks"),
        "₦": ("naira", "naira", "kobo", "kobo"),
        "₱": ("peso", "pesos", "centavo", "centavos"),
        "฿": ("baht", "baht", "satang", "satang"),
    }
)
_COUNTRIES: Mapping[str, str] = MappingProxyType(
    {
        "US": "U S",
        "A": "Australian",
        "AU": "Australian",
        "C": "Canadian",
        "CA": "Canadian",
        "NZ": "New Zealand",
        "HK": "Hong Kong",
        "S": "Singapore",
        "R": "Brazilian",
        "MX": "Mexican",
    }
)
_CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "USD": ("U S ", "$"),
        "EUR": ("", "€"),
        "GBP": ("", "£"),
        "JPY": ("", "¥"),
        "INR": ("", "₹"),
        "AUD": ("Australian ", "$"),
        "CAD": ("Canadian ", "$"),
        "CHF": ("Swiss ", "franc"),
    }
)
_FRANC = ("franc", "francs", "centime", "centimes")
_SIGN = f"[{''.join(_CURRENCIES)}]"


def scale_word(scale: str) -> str:
    """ "million" of "M", "mn" or itself."""
    return _SCALES.get(scale.lower(), scale.lower())


def _amount(
    sign: str, whole: str, fraction: str | None, scale: str | None, country: str = ""
) -> str:
    one, many, small_one, small_many = _CURRENCIES.get(sign, _FRANC)
    if scale:
        amount = decimal(whole, fraction) if fraction else quantity(whole)
        return f"{amount} {scale_word(scale)} {country}{many}"
    if fraction is not None and len(fraction) != 2:
        return f"{decimal(whole, fraction)} {country}{many}"
    cents = int(fraction or 0)
    large = f"{quantity(whole)} {country}{one if whole == '1' else many}"
    small = f"{cardinal(cents)} {small_one if cents == 1 else small_many}"
    if not cents:
        return large
    return small if whole == "0" else f"{large} and {small}"


def _money(match: re.Match[str]) -> str:
    return _amount(match["currency"], match["whole"], match["fraction"], match["scale"])


def _money_of_a_country(match: re.Match[str]) -> str:
    country = f"{_COUNTRIES[match['country']]} "
    return _amount("$", match["whole"], match["fraction"], match["scale"], country)


def _money_by_code(match: re.Match[str]) -> str:
    country, sign = _CODES[match["before"] or match["after"]]
    return _amount(sign, match["whole"], match["fraction"], match["scale"], country)


def _range(match: re.Match[str]) -> str:
    low = match["low"]
    spoken = decimal(*low.split(".")) if "." in low else quantity(low)
    return f"{spoken} to {match['currency']}"


MONEY_RULES: tuple[Rule, ...] = (
    Rule(
        "ranges of money",
        re.compile(
            rf"(?P<currency>{_SIGN})(?P<low>{WHOLE}(?:\.\d+)?)\s?-\s?(?=\d+(?:[.,]\d+)*(?!\d*-\d))"
        ),
        _range,
        (
            ("$5-10", "five to ten dollars"),
            ("£2.5-3 million", "two point five to three million pounds"),
        ),
    ),
    Rule(
        "money of a country",
        re.compile(
            rf"\b(?P<country>{one_of(_COUNTRIES)})\$\s?(?P<whole>{WHOLE})(?:\.(?P<fraction>\d+))?{SCALE}"
        ),
        _money_of_a_country,
        (
            ("US$100", "one hundred U S dollars"),
            ("A$5.50", "five Australian dollars and fifty cents"),
        ),
    ),
    Rule(
        "money by its code",
        re.compile(
            rf"(?:\b(?P<before>{one_of(_CODES)})\s?|(?=[\d,.]+\s?(?:[kmbKMB]n?\s?)?(?:{one_of(_CODES)})\b))"
            rf"(?<![\d.,])(?P<whole>{WHOLE})(?:\.(?P<fraction>\d+))?{SCALE}"
            rf"(?(before)|\s?(?P<after>{one_of(_CODES)})\b)"
        ),
        _money_by_code,
        (("EUR 50", "fifty euros"), ("100 USD", "one hundred U S dollars")),
    ),
    Rule(
        "money",
        re.compile(
            rf"(?<!\d)(?<!\d )(?P<currency>{_SIGN})\s?(?P<whole>{WHOLE})(?:\.(?P<fraction>\d+))?{SCALE}"
        ),
        _money,
        (
            ("$5.50", "five dollars and fifty cents"),
            ("$3.5bn", "three point five billion dollars"),
            ("₹500", "five hundred rupees"),
        ),
    ),
    Rule(
        "money with the sign behind",
        re.compile(
            rf"(?<![\d.,])(?P<whole>{WHOLE})(?:\.(?P<fraction>\d+))?{SCALE}\s?(?P<currency>{_SIGN})"
        ),
        _money,
        (("20 €", "twenty euros"), ("12.50€", "twelve euros and fifty cents")),
    ),
)
"""In the order in which they must be applied, after minus signs and before measures."""
