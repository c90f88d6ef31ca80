from __future__ import annotations

import pytest

from benchmarks.word_errors import (
    Score,
    bootstrap_difference,
    bootstrap_interval,
    edit_distance,
    pooled_rate,
)


@pytest.mark.parametrize(
    ("reference", "heard", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b b c", 1),
        ("a b c", "", 3),
        ("", "a b", 2),
        ("a b c d", "b c d a", 2),
        ("the cat sat", "a hat is at", 4),
    ],
)
def test_edit_distance_counts_fewest_changes(reference: str, heard: str, errors: int) -> None:
    assert edit_distance(reference.split(), heard.split()) == errors


def test_edit_distance_may_be_told_which_words_are_the_same() -> None:
    def same(a: str, b: str) -> bool:
        return {a, b} <= {"two", "to"} or a == b

    assert edit_distance(["two", "cats"], ["to", "cats"], same) == 0


def test_pooled_rate_weighs_by_words_not_by_clips() -> None:
    assert pooled_rate([Score(1, 1), Score(0, 9)]) == pytest.approx(0.1)


def test_interval_holds_the_rate_and_narrows_with_more_sentences() -> None:
    few = [[Score(i % 2, 4)] for i in range(10)]
    many = [[Score(i % 2, 4)] for i in range(400)]
    low, high = bootstrap_interval(few)
    narrow_low, narrow_high = bootstrap_interval(many)
    assert low <= 0.125 <= high
    assert narrow_low <= 0.125 <= narrow_high
    assert narrow_high - narrow_low < (high - low) / 3


def test_difference_draws_the_same_sentences_in_both() -> None:
    # Clips differ wildly between sentences, but one system is always one error worse.
    first = [[Score(i % 7 + 1, 10)] for i in range(40)]
    second = [[Score(i % 7, 10)] for i in range(40)]
    low, high = bootstrap_difference(first, second)
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)
