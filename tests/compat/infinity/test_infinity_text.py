"""Bark Infinity's ways to split a text (I8), and the options that choose between them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from openbark.compat.infinity.generation import plan_segments
from openbark.compat.infinity.text_processing import (
    current_date_time_in_words,
    estimate_spoken_time,
    load_text,
    split_general_purpose,
    split_text,
)
from openbark.errors import ParamError, TextError


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (None, None, ["One two, and three. Four!\nFive"]),
        ("word", 3, ["One two, and", "three. Four! Five"]),
        ("line", None, ["One two, and three. Four!", "Five"]),
        ("sentence", 2, ["One two, and three. Four!", "Five"]),
        ("string", "and", ["One two,", "three. Four!\nFive"]),
        ("regex", r"[.!]", ["One two, and three", "Four", "Five"]),
        ("pos", None, ["One two,", "and three. Four! Five"]),
        ("char", 13, ["One two, and", "three. Four!", "Five"]),
    ],
)
def test_I8_split_text(kind: str | None, value: str | int | None, expected: list[str]) -> None:
    assert split_text("One two, and three. Four!\nFive", kind, value) == expected


def test_I8_other_splits() -> None:
    words = "a b c d e f g h i j".split()
    parts = split_text(" ".join(words), "random", 3, seed=1)
    assert " ".join(parts).split() == words and len(parts) > 3
    assert parts == split_text(" ".join(words), "random", 3, seed=1)
    for kind, value in (("rhyme", None), ("regex", "("), ("word", "x"), ("pos", "verb")):
        with pytest.raises(ParamError):
            split_text("a b", kind, value)
    assert split_text("今日は。元気？", "sentence") == ["今日は。", "元気？"]
    assert (
        current_date_time_in_words(datetime(2026, 1, 2, 15, 4))
        == "Friday, January 2, 2026, 3:04 PM"
    )


def test_I8_files_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffHi é".encode())
    assert load_text(tmp_path / "a.txt") == "Hi é"
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xff")
    for name in ("b.txt", "gone.txt"):
        with pytest.raises(TextError, match=name):
            load_text(tmp_path / name)


def test_I8_split_general_purpose() -> None:
    text = (
        "A short one. " * 5
        + "Then, a long sentence with many words, that has to be cut somewhere here."
    )
    parts = split_general_purpose(text, 30, 40)
    assert " ".join(parts).split() == text.split()
    assert all(len(part) <= 40 for part in parts) and len(parts) < 8
    assert split_general_purpose("x" * 50, 10, 20) == ["x" * 50]


def test_option_split_character_goal_length_and_split_character_max_length() -> None:
    text = "One two three. Four five six. Seven eight nine."
    short = {"split_character_goal_length": 10, "split_character_max_length": 16}
    assert plan_segments(text, short) == [
        "One two three.",
        "Four five six.",
        "Seven eight",
        "nine.",
    ]
    assert plan_segments(text, {}) == [text]
    with pytest.raises(ParamError, match="is more than"):
        plan_segments(text, {"split_character_goal_length": 20, "split_character_max_length": 10})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("word", "2", ["a b.", "c, and", "d."]),
        ("sentence", None, ["a b.", "c, and d."]),
        ("string", ",", ["a b. c", "and d."]),
        ("pos", "conjunction", ["a b. c,", "and d."]),
    ],
)
def test_option_split_each_text_prompt_by_and_split_each_text_prompt_by_value_live(
    kind: str, value: str | None, expected: list[str]
) -> None:
    options = {"split_each_text_prompt_by": kind, "split_each_text_prompt_by_value": value}
    assert plan_segments("a b. c, and d.", options) == expected


def test_split_character_jitter_comes_from_the_seed() -> None:
    text = "word " * 60
    options = {"split_character_goal_length": 60, "split_character_max_length": 80}
    plans = {
        tuple(plan_segments(text, options | {"split_character_jitter": 30, "seed": seed}))
        for seed in (1, 1, 2, 3, 4, 5)
    }
    assert 1 < len(plans) < 6


def test_process_text_by_each() -> None:
    options = {"process_text_by_each": "sentence", "group_text_by_counting": "word"}
    parts = plan_segments("a b. c d. e f.", options | {"in_groups_of_size": 4})
    assert parts == ["a b. c d.", "e f."]
    with pytest.raises(ParamError, match="all three or none"):
        plan_segments("a", options)
    affixes = {"prompt_text_prefix": "♪", "prompt_text_suffix": "♪"}
    assert plan_segments("la la", affixes) == ["♪ la la ♪"]


def test_I5_estimate_spoken_time() -> None:
    assert estimate_spoken_time("one two three [laughs out loud] four five", wpm=150) == 2.0
    assert estimate_spoken_time("[music]") == 0.0
    with pytest.raises(ParamError, match="wpm"):
        estimate_spoken_time("a", wpm=0)
