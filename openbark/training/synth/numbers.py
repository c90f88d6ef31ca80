"""Numbers, ordinals, times, dates and prices in English words.

Knows spelling only: no sentences and no rules for reading digits from a text.
"""

from __future__ import annotations

from random import Random

from openbark.errors import ParamError

__all__ = [
    "cardinal",
    "ordinal",
    "random_clock_time",
    "random_date",
    "random_digits",
    "random_price",
    "random_year",
]

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_MONTHS = "January February March April May June July August September October November December"
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_LARGEST = 999_999_999


def cardinal(number: int) -> str:
    """Spell a whole number from 0 to 999,999,999: 342 is "three hundred and forty-two"."""
    if not 0 <= number <= _LARGEST:
        raise ParamError(f"cardinal: {number} is not in 0..{_LARGEST}; spell it in parts")
    if number < 20:
        return _SMALL.split()[number]
    if number < 100:
        tens, units = divmod(number, 10)
        word = _TENS.split()[tens - 2]
        return f"{word}-{cardinal(units)}" if units else word
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            head, rest = divmod(number, size)
            joint = " and " if rest < 100 else " "
            tail = f"{joint}{cardinal(rest)}" if rest else ""
            return f"{cardinal(head)} {name}{tail}"
    raise AssertionError("every number from 100 up has a hundred")


def ordinal(number: int) -> str:
    """Spell the ordinal of a whole number from 0 to 999,999,999: 21 is "twenty-first"."""
    words = cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return words[:cut] + last


def random_clock_time(rng: Random) -> str:
    """A time of day: "half past six", "ten o'clock", "five forty-five", "noon"."""
    hour = cardinal(rng.randint(1, 12))
    return rng.choice(
        (
            f"{hour} o'clock",
            f"half past {hour}",
            f"a quarter past {hour}",
            f"a quarter to {hour}",
            f"{hour} {cardinal(rng.randint(10, 59))}",
            f"{cardinal(rng.choice((5, 10, 20, 25)))} past {hour}",
            f"{cardinal(rng.choice((5, 10, 20, 25)))} to {hour}",
            f"{hour} in the {rng.choice(('morning', 'afternoon', 'evening'))}",
            rng.choice(("noon", "midnight")),
        )
    )


def random_year(rng: Random) -> str:
    """A year from 1700 to 2039 as it is read aloud."""
    year = rng.randint(1700, 2039)
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010:
        return cardinal(year)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def random_date(rng: Random) -> str:
    """A day of the year, with the year one time in three."""
    month, day = rng.choice(_MONTHS.split()), ordinal(rng.randint(1, 31))
    date = rng.choice((f"{month} {day}", f"the {day} of {month}"))
    return f"{date}, {random_year(rng)}" if rng.random() < 1 / 3 else date


def random_price(rng: Random) -> str:
    """An amount of money, from cents to thousands of dollars."""
    dollars = rng.choice((rng.randint(2, 20), rng.randint(2, 99), 10 * rng.randint(10, 250)))
    unit = rng.choice(("dollars", "dollars", "dollars", "pounds", "euros"))
    if unit == "dollars" and rng.random() < 0.4:
        return f"{cardinal(dollars)} dollars and {cardinal(rng.randint(2, 99))} cents"
    return rng.choice((f"{cardinal(dollars)} {unit}", f"{cardinal(rng.randint(2, 99))} cents"))


def random_digits(rng: Random) -> str:
    """Four to seven digits read one by one, as in a telephone number."""
    return " ".join(cardinal(rng.randint(0, 9)) for _ in range(rng.randint(4, 7)))
