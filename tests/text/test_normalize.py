from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.config import BarkConfig
from openbark.errors import CheckpointUnsupportedError, TextError
from openbark.text.normalize.english import ENGLISH_CHARACTERS
from openbark.text.reader import normalize

CASES = [
    # plain text stays
    ("Hello there.", "Hello there."),
    ("Don't stop! Why not?", "Don't stop! Why not?"),
    ('He said: "yes"; then (quietly) left.', 'He said: "yes"; then (quietly) left.'),
    ("a well-known trick", "a well-known trick"),
    ("Wait... what", "Wait... what"),
    # whole numbers
    ("0", "zero"),
    ("7 dwarfs", "seven dwarfs"),
    ("13", "thirteen"),
    ("20", "twenty"),
    ("21", "twenty-one"),
    ("99 balloons", "ninety-nine balloons"),
    ("100", "one hundred"),
    ("101", "one hundred and one"),
    ("342", "three hundred and forty-two"),
    ("1000", "one thousand"),
    ("1,234", "one thousand two hundred and thirty-four"),
    ("3001", "three thousand and one"),
    ("12,345", "twelve thousand three hundred and forty-five"),
    ("100000", "one hundred thousand"),
    ("1000000", "one million"),
    ("1,000,001", "one million and one"),
    ("2,500,000,000", "two billion five hundred million"),
    ("1000000000000", "one trillion"),
    (
        "999,000,000,000,012",
        "nine hundred and ninety-nine trillion and twelve",
    ),
    ("1000000000000000", "one" + " zero" * 15),
    ("007", "zero zero seven"),
    ("-5", "minus five"),
    ("It is -12 outside.", "It is minus twelve outside."),
    ("(-3)", "(minus three)"),
    ("1,2,3", "one, two, three"),
    # decimals
    ("3.14", "three point one four"),
    ("0.5", "zero point five"),
    (".5", "point five"),
    ("-2.75", "minus two point seven five"),
    ("1,234.5", "one thousand two hundred and thirty-four point five"),
    ("10.05.", "ten point zero five."),
    ("Version 1.2.3", "Version one point two point three"),
    ("v1.2", "v one point two"),
    # ordinals
    ("1st", "first"),
    ("2nd", "second"),
    ("3rd", "third"),
    ("4th", "fourth"),
    ("5th", "fifth"),
    ("8th", "eighth"),
    ("9th", "ninth"),
    ("11th", "eleventh"),
    ("12th", "twelfth"),
    ("20th", "twentieth"),
    ("22nd", "twenty-second"),
    ("100th", "one hundredth"),
    ("101st", "one hundred and first"),
    ("1,000th", "one thousandth"),
    # years
    ("1999", "nineteen ninety-nine"),
    ("in 2026.", "in twenty twenty-six."),
    ("2005", "two thousand and five"),
    ("2000", "two thousand"),
    ("2010", "twenty ten"),
    ("1900", "nineteen hundred"),
    ("1905", "nineteen oh five"),
    ("1776", "seventeen seventy-six"),
    ("1999-2005", "nineteen ninety-nine to two thousand and five"),
    ("the 1990s", "the nineteen nineties"),
    ("the '80s", "the eighties"),
    ("the 1900s", "the nineteen hundreds"),
    # times
    ("3:45", "three forty-five"),
    ("3:05", "three oh five"),
    ("10:00", "ten o'clock"),
    ("14:30", "fourteen thirty"),
    ("14:00", "fourteen hundred hours"),
    ("12:30:15", "twelve thirty and fifteen seconds"),
    ("3:45pm", "three forty-five p m"),
    ("10am", "ten a m"),
    ("10 AM", "ten a m"),
    ("at 5 p.m. The dog", "at five p m. The dog"),
    ("at 9 a.m. we met", "at nine a m we met"),
    ("7:00-8:30", "seven o'clock to eight thirty"),
    ("9am-5pm", "nine a m to five p m"),
    ("16:9", "sixteen to nine"),
    # dates
    ("2026-11-20", "November twentieth, twenty twenty-six"),
    ("11/20/2026", "November twentieth, twenty twenty-six"),
    ("20/11/2026", "November twentieth, twenty twenty-six"),
    ("Nov. 20, 2026", "November twentieth, twenty twenty-six"),
    ("November 20", "November twentieth"),
    ("May 5 is a Tuesday", "May fifth is a Tuesday"),
    ("5 June", "the fifth of June"),
    ("The 4th of July", "The fourth of July"),
    ("on 1 January 1900", "on the first of January, nineteen hundred"),
    ("May 2026", "May twenty twenty-six"),
    ("March 3,000 people", "March three thousand people"),
    # money
    ("$1", "one dollar"),
    ("$5", "five dollars"),
    ("$5.50", "five dollars and fifty cents"),
    ("$5.00", "five dollars"),
    ("$1.01", "one dollar and one cent"),
    ("$0.99", "ninety-nine cents"),
    ("$1,234.56", "one thousand two hundred and thirty-four dollars and fifty-six cents"),
    ("$5 million", "five million dollars"),
    ("$3.5bn", "three point five billion dollars"),
    ("$2k", "two thousand dollars"),
    ("-$5", "minus five dollars"),
    ("£3", "three pounds"),
    ("£1.01", "one pound and one penny"),
    ("£0.50", "fifty pence"),
    ("€10", "ten euros"),
    ("20 €", "twenty euros"),
    ("€2.50", "two euros and fifty cents"),
    ("¥500", "five hundred yen"),
    ("50¢", "fifty cents"),
    ("$10-$20", "ten dollars to twenty dollars"),
    # percent, ranges, fractions
    ("50%", "fifty percent"),
    ("3.5 %", "three point five percent"),
    ("10-20%", "ten to twenty percent"),
    ("pages 3–4", "pages three to four"),
    ("1/2", "one half"),
    ("3/4", "three quarters"),
    ("2/3 of it", "two thirds of it"),
    ("1/8", "one eighth"),
    ("1 1/2", "one and one half"),
    ("2½ cups", "two and one half cups"),
    ("7/3", "seven over three"),
    ("24/7", "twenty-four seven"),
    # telephone numbers
    ("555-1234", "five five five, one two three four"),
    ("(555) 123-4567", "five five five, one two three, four five six seven"),
    ("+1 555 123 4567", "plus one, five five five, one two three, four five six seven"),
    ("5551234567", "five five five one two three four five six seven"),
    ("123-45-6789", "one two three, four five, six seven eight nine"),
    # abbreviations
    ("Mr. Smith", "Mister Smith"),
    ("Mrs. Jones and Ms. Green", "Missus Jones and Miz Green"),
    ("Dr. Brown", "Doctor Brown"),
    ("Sunset Dr. is long", "Sunset Drive is long"),
    ("St. Peter", "Saint Peter"),
    ("12 Main St.", "twelve Main Street."),
    ("Prof. Plum", "Professor Plum"),
    ("cats, dogs, etc.", "cats, dogs, et cetera."),
    ("cats, etc. are here", "cats, et cetera are here"),
    ("e.g. this", "for example this"),
    ("i.e. that", "that is that"),
    ("cats vs. dogs", "cats versus dogs"),
    ("cats vs dogs", "cats versus dogs"),
    ("No. 5", "number five"),
    ("No. I will not.", "No. I will not."),
    ("p. 13", "page thirteen"),
    ("the U.S. army", "the U S army"),
    ("from the U.S.", "from the U S."),
    # signs
    ("Tom & Jerry", "Tom and Jerry"),
    ("R&D", "R and D"),
    ("me@example.com", "me at example dot com"),
    ("a+b=c", "a plus b equals c"),
    ("C++", "C plus plus"),
    ("#1", "number one"),
    ("#fun", "hash fun"),
    ("20°C", "twenty degrees Celsius"),
    ("45°", "forty-five degrees"),
    ("1°", "one degree"),
    ("and/or", "and slash or"),
    ("~5 minutes", "about five minutes"),
    ("2^10", "two to the power of ten"),
    ("2 × 3", "two times three"),
    ("5 - 3 = 2", "five minus three equals two"),
    ("snake_case", "snake underscore case"),
    ("{x}", "(x)"),
    ("© 2026", "copyright twenty twenty-six"),
    ("m²", "m squared"),
    # units and letters next to digits
    ("5kg", "five kilograms"),
    ("1 km", "one kilometer"),
    ("60 km/h", "sixty kilometers per hour"),
    ("44.1 kHz", "forty-four point one kilohertz"),
    ("5'10\"", "five feet ten"),
    ("mp3", "mp three"),
    ("B-52", "B-fifty-two"),
    ("4x4", "four by four"),
    # characters
    ("café naïve Ångström", "cafe naive Angstrom"),
    ("cafe\u0301", "cafe"),
    ("“quoted” ‘single’ it’s", "\"quoted\" 'single' it's"),
    ("wait…", "wait..."),
    ("yes—no", "yes - no"),
    ("ﬁne œuvre straße", "fine oeuvre strasse"),
    ("ＡＢ１", "AB one"),
    ("a\u00a0b\tc\n\nd", "a b c d"),
    ("soft\u00adhyphen", "softhyphen"),
    # tags
    ("[laughs] Hello.", "[laughs] Hello."),
    ("Well [clears throat] 3 of them", "Well [clears throat] three of them"),
]


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 120
    assert len({text for text, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_english(text: str, expected: str) -> None:
    assert normalize(text, "en") == expected


@pytest.mark.parametrize("text", [expected for _, expected in CASES])
def test_normalized_text_is_left_alone(text: str) -> None:
    assert normalize(text, "en") == text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("привет", "п (U+043F)"),
        ("Hello 世界", "世 (U+4E16)"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(TextError) as caught:
        normalize(text, "en")
    assert named in str(caught.value)
    assert "English" in str(caught.value)


def test_many_unreadable_characters_are_counted() -> None:
    with pytest.raises(TextError, match="and 16 more"):
        normalize("абвгдежзийклмнопрстуфхцчшщ", "en")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=[chr(code) for code in range(32, 127)], max_size=60))
def test_any_ascii_text_becomes_readable_characters(text: str) -> None:
    normalized = normalize(text, "en")
    assert set(normalized) <= set(ENGLISH_CHARACTERS)
    assert "  " not in normalized
    assert normalized or not any(character.isalnum() for character in text)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**15 - 1))
def test_every_count_up_to_trillions_is_spelled(number: int) -> None:
    words = normalize(f"{number:,} apples", "en")
    assert words.endswith(" apples")
    assert not any(character.isdigit() for character in words)


@pytest.mark.parametrize("text", ["1" * 20_000, "1/" * 5_000, "9" * 9_000 + "th", "[a" * 5_000])
def test_hostile_text_is_read_to_the_end(text: str) -> None:
    assert len(normalize(text, "en")) >= len(text) // 2


def test_none_returns_the_text_itself() -> None:
    assert normalize("  5 € & ж ", "none") == "  5 € & ж "


def test_unknown_normalizer_is_refused() -> None:
    with pytest.raises(CheckpointUnsupportedError, match=r"'klingon'.*none, en"):
        normalize("hello", "klingon")


def test_the_default_config_names_a_normalizer_we_have() -> None:
    assert normalize("x", BarkConfig().text_normalizer) == "x"
