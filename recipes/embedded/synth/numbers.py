"""Random times, dates and prices in English words, for the corpus.

The spelling of the numbers is `openbark.text.normalize.numbers`, so that what is trained is what is normalised. Knows no sentences.
"""

from __future__ import annotations

from random import Random

from openbark.text.normalize.numbers import cardinal, ordinal

_MONTHS = "January February March April May June July August September October November December"


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
