"""Reading English: every rule by its own examples, and the table of strings by kind."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_cases import READINGS

from openbark.errors import TextError
from openbark.text.left_out import notice_of
from openbark.text.normalize.english import (
    ENGLISH_CHARACTERS,
    READING_RULES,
    normalize_english,
    read_english,
)

EXAMPLES = [(rule.name, text, spoken) for rule in READING_RULES for text, spoken in rule.examples]
CASES = [
    (kind, *line.replace("<BEL>", "\x07").replace("<NUL>", "\0").split(" => "))
    for kind, lines in READINGS.items()
    for line in lines.strip().splitlines()
]


def test_every_rule_has_a_name_of_its_own_and_an_example() -> None:
    names = [rule.name for rule in READING_RULES]
    assert len(set(names)) == len(names)
    assert all(rule.examples for rule in READING_RULES)


@pytest.mark.parametrize(("rule", "text", "spoken"), EXAMPLES)
def test_a_rule_reads_its_examples(rule: str, text: str, spoken: str) -> None:
    assert read_english(text).text == spoken


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 400
    for kind, lines in READINGS.items():
        assert len(lines.strip().splitlines()) >= 12, kind


@pytest.mark.parametrize(("kind", "text", "spoken"), CASES)
def test_a_string_is_read_right(kind: str, text: str, spoken: str) -> None:
    assert read_english(text).text == spoken


@pytest.mark.parametrize("spoken", sorted({spoken for *_, spoken in CASES}))
def test_words_that_were_read_are_left_alone(spoken: str) -> None:
    assert read_english(spoken).text == spoken


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nice 😀", "😀 (U+1F600)"),
        ("♪ la", "♪ (U+266A)"),
        ("hello.1 She left", "footnote mark"),
        ("beep\x07", "U+0007"),
        ("as shown.[4]", "[4] (citation)"),
        ("bad � text", "U+FFFD"),
    ],
)
def test_what_has_no_sound_is_named_in_one_notice_and_refused_by_strict(
    text: str, named: str
) -> None:
    notice = notice_of(read_english(text).left_out)
    assert notice is not None and named in notice and "\n" not in notice
    with pytest.raises(TextError, match="strict reading refuses") as caught:
        normalize_english(text, strict=True)
    assert named in str(caught.value)


def test_plain_text_has_no_notice_and_passes_strict() -> None:
    for text in ("Hello there.", "¿Qué?", "5 kg \u200f(11 lbs)", "“Yes” — he said…"):
        assert notice_of(read_english(text).left_out) is None
        assert normalize_english(text, strict=True)


@pytest.mark.parametrize("text", ["привет", "Hello 世界", "καλημέρα", "שלום", "สวัสดี"])
def test_words_of_other_scripts_are_refused_by_name(text: str) -> None:
    with pytest.raises(TextError, match=r"reads English and cannot read .*U\+"):
        read_english(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        found = read_english(text)
    except TextError:
        return
    assert set(found.text) <= set(ENGLISH_CHARACTERS)
    assert "  " not in found.text
    if re.search(r"[A-Za-z0-9]", text):
        assert found.text or found.left_out


@pytest.mark.parametrize(
    "unit",
    [
        "1 000 ",
        '12" ',
        "a.b.",
        "Mr. ",
        "[x",
        "**a",
        "1/2 ",
        "&amp;",
        "XIV ",
        "FBI ",
        "$1-",
        "5 kg/",
        "www.a",
        "*",
        "_a",
        "Jan. ",
        "1,1",
        "😀",
        "H₂",
        "x² ",
        "A. ",
        "no.1 ",
    ],
)
def test_a_long_text_of_anything_is_read_to_the_end(unit: str) -> None:
    """Quadratic work or a backtracking pattern would not come back from this."""
    assert read_english(unit * (60_000 // len(unit))).text is not None
