"""Splitting: the table of 13 languages, budgets, and nothing ever lost or said twice."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from split_cases import CASES

from openbark.errors import ParamError, TextError
from openbark.text.language import guess_language
from openbark.text.speech_length import expected_seconds, running_seconds
from openbark.text.split.pieces import SPLITS, Boundary, Budget, Piece, iter_pieces, split_text
from openbark.text.split.sentence_words import LANGUAGES

WIDE = Budget(max_tokens=10**6, max_seconds=1e6, min_seconds=0.0)
SMALL = Budget(max_tokens=30, max_seconds=2.0, min_seconds=0.5)


def words(text: str) -> int:
    return len(text.split())


def texts(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in pieces]


def check_whole(text: str, pieces: tuple[Piece, ...]) -> None:
    """Every non-space character once, in order, and spans that say where."""
    end = 0
    for piece in pieces:
        assert piece.text == text[piece.start : piece.stop] == piece.text.strip() != ""
        assert not text[end : piece.start].strip()
        end = piece.stop
    assert not text[end:].strip()
    assert pieces[-1].boundary is Boundary.END


def test_the_table_covers_every_language() -> None:
    by_language = Counter(language for language, _ in CASES)
    assert set(by_language) == set(LANGUAGES)
    assert len(CASES) >= 200
    assert min(by_language.values()) >= 10


@pytest.mark.parametrize(("language", "marked"), CASES)
def test_N16_sentences_of_13_languages(language: str, marked: str) -> None:
    text = marked.replace("|", "")
    wanted = [part.strip() for part in marked.split("|")]
    assert texts(split_text(text, len, WIDE, language)) == wanted


def test_most_languages_are_guessed_from_one_line() -> None:
    right = sum(guess_language(marked) == language for language, marked in CASES)
    assert right >= 0.9 * len(CASES)
    for language in LANGUAGES:
        page = " ".join(marked for name, marked in CASES if name == language)
        assert guess_language(page) == language
    assert guess_language("") == guess_language("123") == "en"


@given(st.text(min_size=1, max_size=300), st.sampled_from(LANGUAGES), st.sampled_from(SPLITS))
@example("a\u0301" * 100, "en", "sentence")
@example("a\u200db" * 50, "hi", "packed")
@example("\u0301" * 90, "en", "sentence")
def test_any_text_is_said_once_and_in_order(text: str, language: str, split: str) -> None:
    if not text.strip():
        with pytest.raises(TextError, match="at least one word"):
            split_text(text, len, SMALL, language, split)
        return
    pieces = split_text(text, len, SMALL, language, split)
    check_whole(text, pieces)
    for piece in pieces:
        assert piece.n_tokens == len(piece.text) <= SMALL.max_tokens
        assert piece.seconds <= SMALL.max_seconds


PUNCTUATED = st.text(
    st.sampled_from("ab Z1.,!?…。、「」“”\"'()[]♪-—:;@/\n \u00a0あ漢한क्\u0301"), max_size=400
)


@given(PUNCTUATED.filter(str.strip), st.sampled_from(LANGUAGES), st.sampled_from(SPLITS))
def test_any_punctuation_is_said_once_and_in_order(text: str, language: str, split: str) -> None:
    for budget in (WIDE, SMALL, Budget(max_tokens=1, min_seconds=0.0)):
        pieces = split_text(text, len, budget, language, split)
        check_whole(text, pieces)
        assert all(piece.n_tokens <= budget.max_tokens for piece in pieces)


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("Hello there. ", 1_000_000),
        *(
            (unit, 60_000)
            for unit in ["a", ". ", '("', "あ", "漢字。", "[a", "♪", "a@", ", ", "“", "1."]
        ),
    ],
)
def test_long_text_of_anything_is_split_whole(unit: str, size: int) -> None:
    """Quadratic work or a backtracking pattern would not come back from this."""
    text = unit * (size // len(unit))
    counted = 0

    def count(said: str) -> int:
        nonlocal counted
        counted += len(said)
        return len(said)

    pieces = split_text(text, count, Budget())
    check_whole(text, pieces)
    assert all(piece.n_tokens <= 255 and piece.seconds <= 12 for piece in pieces)
    assert counted <= 40 * len(text)


def test_pieces_are_worked_out_when_they_are_asked_for() -> None:
    text = "Hello there, you. Good day!\n\n" * 1000
    counted: list[str] = []

    def count(said: str) -> int:
        counted.append(said)
        return len(said)

    pieces = iter_pieces(text, count, Budget(min_seconds=0.0))
    assert counted == []
    first = [next(pieces).text for _ in range(4)]
    assert first == ["Hello there, you.", "Good day!"] * 2
    assert sum(map(len, counted)) < 1000
    assert [*first, *(piece.text for piece in pieces)] == ["Hello there, you.", "Good day!"] * 1000
    for wrong in ({"split": "x"}, {"language": "x"}):
        with pytest.raises(ParamError):
            iter_pieces(text, count, **wrong)  # type: ignore[arg-type]


def test_boundaries_say_what_ends() -> None:
    text = "One two, three four five. Six!\n\nSeven."
    pieces = split_text(text, words, Budget(max_tokens=3, min_seconds=0.0))
    assert [(piece.text, piece.boundary.value) for piece in pieces] == [
        ("One two,", "clause"),
        ("three four five.", "sentence"),
        ("Six!", "paragraph"),
        ("Seven.", "end"),
    ]
    long = split_text("one two three four five six", words, Budget(max_tokens=3))
    assert [(piece.text, piece.boundary.value) for piece in long] == [
        ("one two three", "none"),
        ("four five six", "end"),
    ]


def test_strong_boundaries_go_before_weak_ones() -> None:
    text = "He said: “I came early, I think. It rained.” Good."
    assert texts(split_text(text, words, Budget(max_tokens=8, min_seconds=0.0))) == [
        "He said: “I came early, I think.",
        "It rained.”",
        "Good.",
    ]


def test_a_long_sentence_is_cut_evenly() -> None:
    text = "a one, b two, c three, d four, e five, f six"
    pieces = split_text(text, words, Budget(max_tokens=10, min_seconds=0.0))
    assert texts(pieces) == ["a one, b two, c three,", "d four, e five, f six"]


@pytest.mark.parametrize(
    "whole",
    [
        "[clears throat]",
        "♪ la la la ♪",
        "https://a.example/b,c;d",
        "me@mail.example",
        "1 250 000,5",
    ],
)
def test_tags_lyrics_addresses_and_numbers_are_cut_only_when_alone_too_long(whole: str) -> None:
    text = f"漢字漢字漢字漢字 {whole} 漢字漢字漢字漢字"
    for size in range(len(whole), 40):
        pieces = split_text(text, len, Budget(max_tokens=size, min_seconds=0.0), "zh")
        assert any(whole in piece.text for piece in pieces)
    tight = split_text(text, len, Budget(max_tokens=len(whole) - 1, min_seconds=0.0), "zh")
    check_whole(text, tight)


def test_letters_keep_their_marks() -> None:
    text = "क्षि" * 40
    for piece in split_text(text, len, Budget(max_tokens=7), "hi"):
        assert piece.text[0] == "क" or piece.text[0] == "ष"


def test_short_sentences_join_within_their_paragraph() -> None:
    budget = Budget(max_tokens=40, min_seconds=1.0)
    text = "Yes. I have seen the whole of it.\n\nNo.\n\n* * *\n\nWhere is everybody today?"
    assert texts(split_text(text, words, budget)) == [
        "Yes. I have seen the whole of it.",
        "No.\n\n* * *",
        "Where is everybody today?",
    ]


def test_packed_fills_the_budget_but_no_paragraph_border() -> None:
    text = "One. Two. Three. Four.\n\nFive. Six."
    budget = Budget(max_tokens=3, min_seconds=0.0)
    assert texts(split_text(text, words, budget, split="packed")) == [
        "One. Two.",
        "Three. Four.",
        "Five. Six.",
    ]


def test_what_the_counter_raises_comes_through() -> None:
    def refuse(said: str) -> int:
        raise TextError(f"cannot read {said}")

    with pytest.raises(TextError, match="cannot read Hello"):
        split_text("Hello.", refuse)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_tokens": 2.5}, "whole number"),
        ({"max_seconds": 0.0}, "max_seconds is 0"),
        ({"max_seconds": float("nan")}, "max_seconds is nan"),
        ({"pace": -1.0}, "pace is -1"),
        ({"min_seconds": 13.0}, "min_seconds is 13"),
    ],
)
def test_bad_budgets(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ParamError, match=message):
        Budget(**settings)  # type: ignore[arg-type]


def test_unknown_language_and_split_name_the_legal_ones() -> None:
    with pytest.raises(ParamError, match=r"'xx'; allowed: en, de.*zh"):
        split_text("Hello.", len, language="xx")
    with pytest.raises(ParamError, match="'page'; allowed: sentence, packed"):
        split_text("Hello.", len, split="page")


def test_expected_seconds_grow_with_the_text_in_every_script() -> None:
    assert 2.0 < expected_seconds("The quick brown fox jumps over the lazy dog.") < 4.0
    assert expected_seconds("你好你好") > expected_seconds("abcd")
    assert expected_seconds("  \n") == 0.0
    running = running_seconds("Hi, 5€ ok")
    assert len(running) == 10
    assert running == sorted(running)
