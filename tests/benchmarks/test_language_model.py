from __future__ import annotations

import pytest

from benchmarks.language_model import (
    NGrams,
    choice_grammar,
    choose_vocabulary,
    count_bigrams,
    flat_unigrams,
)

TRAINING = [line.split() for line in ("a cat sat", "a dog sat", "a cat ran", "the dog ran far")]
VOCABULARY = ("a", "cat", "dog", "ran", "sat", "the", "unseen")


def parse_arpa(text: str) -> NGrams:
    """Read a model back from its text, by the format's own rules."""
    unigrams: dict[str, tuple[float, float]] = {}
    bigrams: dict[tuple[str, str], float] = {}
    counts: dict[str, int] = {}
    section = ""
    for line in text.splitlines():
        cells = line.split()
        if line.startswith("\\"):
            section = line
        elif line.startswith("ngram "):
            name, _, count = cells[1].partition("=")
            counts[name] = int(count)
        elif cells and section == "\\1-grams:":
            unigrams[cells[1]] = (float(cells[0]), float(cells[2]) if len(cells) > 2 else 0.0)
        elif cells and section == "\\2-grams:":
            bigrams[cells[1], cells[2]] = float(cells[0])
    assert section == "\\end\\"
    assert counts == {"1": len(unigrams)} | ({"2": len(bigrams)} if bigrams else {})
    return NGrams(unigrams, bigrams)


@pytest.mark.parametrize("model", [count_bigrams(VOCABULARY, TRAINING), flat_unigrams(VOCABULARY)])
def test_probabilities_sum_to_one_after_every_word_and_after_a_round_trip(model: NGrams) -> None:
    read = parse_arpa(model.to_arpa())
    for before in ("<s>", *VOCABULARY):
        total = sum(read.probability(before, word) for word in (*VOCABULARY, "</s>"))
        assert total == pytest.approx(1.0, abs=1e-4)


def test_bigrams_prefer_what_training_holds_and_allow_the_rest() -> None:
    model = count_bigrams(VOCABULARY, TRAINING)
    assert model.probability("a", "cat") > model.probability("a", "dog") > 0.1
    assert 0.0 < model.probability("a", "unseen") < 0.1
    # "far" is outside the vocabulary: its pairs are skipped, not renamed.
    assert all("far" not in pair for pair in model.bigrams)


def test_absolute_discount_has_the_value_worked_out_by_hand() -> None:
    # c(a, cat) = 2, c(a) = 3, two kinds after "a"; 12 pairs in all, "cat" ends 2; 8 words with </s>.
    model = count_bigrams(VOCABULARY, TRAINING[:3])
    expected = (2 - 0.7) / 3 + (0.7 * 2 / 3) * (2 + 1) / (12 + 8)
    assert model.probability("a", "cat") == pytest.approx(expected)


def test_flat_model_has_no_preference() -> None:
    model = flat_unigrams(VOCABULARY)
    assert {round(model.probability("a", w), 9) for w in (*VOCABULARY, "</s>")} == {0.125}


def test_vocabulary_is_needed_words_and_known_repeated_distractors() -> None:
    training = [["rare"], *([["common", "strange", "needed"]] * 2)]
    chosen = choose_vocabulary(
        [["needed"]], training, ["needed", "common", "rare"], n_distractors=5, seed=0
    )
    assert chosen == ("common", "needed")


def test_grammar_offers_each_choice_once() -> None:
    assert "public <choice> = yes | thank_you ;" in choice_grammar(["yes", "thank_you"])
