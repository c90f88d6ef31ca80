"""Numbers as English words, from the digits a text holds.

"Twenty-one", "three hundred and forty-two": the spelling the embedded voice was trained on. Knows no
sentence: which digits are a year or a price is decided in `openbark.text.normalize.english`.
"""

from __future__ import annotations

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = (
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (10**3, "thousand"),
    (100, "hundred"),
)
_IRREGULAR_ORDINALS = (
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
)
_MAX_DIGITS = 15
_TELEPHONE_LENGTHS = (10, 11)


def cardinal(number: int) -> str:
    """Spell 0 <= number < 10**15: 342 is "three hundred and forty-two"."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, units = divmod(number, 10)
        word = _TENS[tens - 2]
        return f"{word}-{_SMALL[units]}" if units else word
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    head, rest = divmod(number, size)
    words = f"{cardinal(head)} {name}"
    if not rest:
        return words
    return f"{words} and {cardinal(rest)}" if rest < 100 else f"{words} {cardinal(rest)}"


def ordinal(number: int) -> str:
    """Spell the ordinal of 0 <= number < 10**15: 21 is "twenty-first"."""
    words = cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:cut], words[cut:]
    for plain, irregular in _IRREGULAR_ORDINALS:
        if last == plain:
            return head + irregular
    return head + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def digit_by_digit(digits: str) -> str:
    """Read digits one after the other: "007" is "zero zero seven"; other characters are skipped."""
    return " ".join(_SMALL[int(digit)] for digit in digits if digit in "0123456789")


def integer(digits: str) -> str:
    """Read a whole number as written, thousands separated by commas or not.

    Digit by digit where it is not a quantity: leading zeros, ten or eleven digits (a telephone number)
    unless they end in thousands, and more digits than trillions have.
    """
    plain = digits.replace(",", "")
    telephone = len(plain) in _TELEPHONE_LENGTHS and "," not in digits and plain[-3:] != "000"
    if (len(plain) > 1 and plain[0] == "0") or telephone:
        return digit_by_digit(plain)
    return quantity(plain)


def quantity(digits: str) -> str:
    """Read digits that count something, thousands separated by commas or not; one by one past trillions."""
    plain = digits.replace(",", "")
    return cardinal(int(plain)) if len(plain) <= _MAX_DIGITS else digit_by_digit(plain)


def decimal(whole: str, fraction: str) -> str:
    """Read "3", "14" as "three point one four"; an empty whole part is not read."""
    point = f"point {digit_by_digit(fraction)}"
    return f"{quantity(whole)} {point}" if whole else point


def small_after(number: int) -> str:
    """Minutes after the hour or years after the century: 5 is "oh five"."""
    return f"oh {_SMALL[number]}" if number < 10 else cardinal(number)


def year(number: int) -> str:
    """Read a year from 1100 to 2099: 1999 is "nineteen ninety-nine", 2005 "two thousand and five"."""
    century, rest = divmod(number, 100)
    if 2000 <= number < 2010:
        return cardinal(number)
    return f"{cardinal(century)} {small_after(rest) if rest else 'hundred'}"
