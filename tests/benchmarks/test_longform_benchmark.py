"""The long-form benchmark: its text, its arithmetic, and a run of a few words on the tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import longform
from benchmarks.longform import Hearing, Options, Run, compare, judge, make_text, parse, speak
from benchmarks.word_errors import Score
from openbark.api import Bark
from openbark.errors import ParamError


def test_the_text_is_long_enough_and_the_same_every_time() -> None:
    text = make_text(1500)
    assert text == make_text(1500)
    assert text != make_text(1500, seed=2)
    assert 1500 <= len(text.split()) < 1700
    assert text.startswith("Chapter 1\n\n")
    assert "\n\nChapter 2\n\n" in text


def test_memory_is_told_before_and_after_the_first_minute() -> None:
    run = Run(wall_s=200.0, memory=[(10.0, 100.0), (59.0, 110.0), (100.0, 111.0), (190.0, 105.0)])
    assert longform._memory(run) == {
        "first_s": 60.0, "first_mb": 110.0, "rest_mb": 111.0, "end_mb": 105.0, "growth": 0.0091,
    }  # fmt: skip
    short = Run(wall_s=10.0, memory=[(0.5, 100.0), (9.0, 150.0)])
    assert longform._memory(short)["growth"] == 0.5


def test_a_sentence_is_found_when_nothing_else_is_nearer() -> None:
    texts = [tuple(text.split()) for text in ("the cat sat down", "the dog sat down", "no")]

    def found(heard: str) -> bool:
        return judge(texts[0], tuple(heard.split()), texts).is_found

    assert found("the cat sat down")
    assert found("a cat fell down")
    assert not found("the sat down")
    assert not found("the dog sat down")
    assert not found("")


def test_only_sentences_found_alone_count() -> None:
    right, wrong = (Hearing(("a",), (word,), Score(n, 1), n == 0) for n, word in enumerate("ab"))
    made = compare(
        {"alone": [right, right, wrong], "alone_again": [right] * 3, "long": [right, wrong, right]}
    )
    assert (made["found_alone"], made["found_long"], made["found_share_long"]) == (2, 2, 0.5)
    assert made["clear_share_alone_again"] == 1.0
    assert made["word_errors_alone"] == pytest.approx(1 / 3, abs=1e-4)
    assert made["missed"] == [{"said": "a", "heard": "b"}]


def test_a_run_writes_every_piece_where_it_says(tiny_checkpoint_dir: Path, tmp_path: Path) -> None:
    bark = Bark.load(tiny_checkpoint_dir, backend="torch")
    path = tmp_path / "a.wav"
    text = "It was late. Nobody came. Why not?"
    run = speak(bark, text, Options(voice=None), path, lambda line: None)  # type: ignore[arg-type]
    written, rate = soundfile.read(path)
    assert (len(written), rate) == (run.n_samples, bark.sample_rate)
    spoken = [each.spoken for each in run.places if each.spoken]
    assert "".join("".join(each.piece.text.split()) for each in spoken) == "".join(text.split())
    assert len(run.seams) == len(spoken) - 1
    assert all(len(each.waveform) == 0 for each in spoken)
    whole = np.concatenate(list(bark.stream(text, seed=1)))
    assert len(whole) == run.n_samples


def test_options_are_checked() -> None:
    assert parse(["--words", "10", "--policy", "chain"]).policy == "chain"
    with pytest.raises(ParamError, match="--words"):
        parse(["--words", "0"])
