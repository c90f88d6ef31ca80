"""The one plan: lines and paragraphs keep their pauses, whatever fits; silences count; models of raw text get it raw."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openbark.audio.joining import Joiner
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.find import find_checkpoint
from openbark.errors import TextError
from openbark.longform.options import LongFormOptions
from openbark.speech.options import SpeechOptions
from openbark.speech.plan import SpeechPlan, plan_speech
from openbark.text.reader import TextReader
from openbark.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def reader() -> TextReader:
    checkpoint = open_checkpoint(find_checkpoint("embedded"))
    return TextReader(checkpoint.config, Tokenizer.load(checkpoint.tokenizer_path))


def plan(reader: TextReader, text: str, **options: Any) -> SpeechPlan:
    return plan_speech(
        reader,
        text,
        SpeechOptions(**options),
        lambda speech: (speech.voice or speech.speaker, None),
    )


def spoken(found: SpeechPlan) -> list[tuple[str, float]]:
    return [(piece.spoken, piece.pause) for piece in found.report().pieces]


def test_text_without_lines_that_fits_is_one_request(reader: TextReader) -> None:
    found = plan(reader, "Hello there. How are you?")
    assert found.is_one_request
    assert spoken(found) == [("Hello there. How are you?", 0.0)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One here.\n\nTwo there.", [("One here.", 0.7), ("Two there.", 0.0)]),
        ("Apple\nBanana\nOrange", [("Apple", 0.3), ("Banana", 0.3), ("Orange", 0.0)]),
        ("The Heading\n\nText.", [("The Heading", 0.7), ("Text.", 0.0)]),
        (
            "Roses are red,\nViolets are blue.",
            [("Roses are red,", 0.3), ("Violets are blue.", 0.0)],
        ),
        ("Anna: hi\nBen: hello", [("Anna: hi", 0.3), ("Ben: hello", 0.0)]),
        ("for several\nhours prior", [("for several hours prior", 0.0)]),
        ("a well-\nknown trick", [("a well-known trick", 0.0)]),
        ("# Title\n\nText **here**.", [("Title", 0.7), ("Text here.", 0.0)]),
        ("✅\n\nDone.", [("Done.", 0.0)]),
        ("One.\n\n***\n\nTwo.", [("One.", 1.2), ("Two.", 0.0)]),
    ],
)
def test_lines_keep_their_pause_in_text_that_fits(
    reader: TextReader, text: str, pieces: list[tuple[str, float]]
) -> None:
    assert spoken(plan(reader, text)) == pieces


def test_a_model_of_raw_text_gets_it_as_it_stands(reader: TextReader) -> None:
    raw = TextReader(dataclasses.replace(reader.config, text_normalizer="none"), reader.tokenizer)
    found = plan(raw, "Two lines.\n\nOf (text), [more]")
    assert found.is_one_request and found.format == "text"
    assert spoken(found) == [("Two lines. Of (text), [more]", 0.0)]
    asked = plan(raw, "Two lines.\n\nOf (text), [more]", input_format="markdown")
    assert spoken(asked) == [("Two lines.", 0.7), ("Of (text), [more]", 0.0)]


def test_what_is_left_out_is_told_once_and_refused_by_strict(reader: TextReader) -> None:
    found = plan(reader, "Nice 😀 day 😀.\n\nYes 😀!")
    assert found.notice == "left out of the speech: 😀 (U+1F600) (has no sound)"
    json.dumps(found.report().to_dict())
    with pytest.raises(TextError, match="strict reading refuses"):
        plan(reader, "Nice 😀 day", strict=True)
    with pytest.raises(TextError, match="nothing that has a sound"):
        plan(reader, "😀")


def test_silences_and_times_count_and_are_limited(reader: TextReader) -> None:
    source = "1\n01:00:00,000 --> 01:00:01,000\nHi there\n"
    found = plan(reader, source)
    assert found.format == "srt"
    assert 3600 < found.report().seconds < 3602
    with pytest.raises(TextError, match="more than 12 hours"):
        plan(reader, source.replace("01:00", "13:00"))
    breaks = "<speak>Hi" + '<break time="60s"/>' * 1000 + "there</speak>"
    with pytest.raises(TextError, match="more than 12 hours"):
        plan(reader, breaks)
    assert plan(reader, '<speak>Hi <break time="2s"/> there</speak>').report().seconds > 2


def test_given_options_cut_text_that_fits_into_sentences(reader: TextReader) -> None:
    options = LongFormOptions(min_seconds=0.0)
    found = plan(reader, "Hello there, you. How are you now?", long_form=options)
    assert [piece.spoken for piece in found.report().pieces] == [
        "Hello there, you.",
        "How are you now?",
    ]


def test_a_long_silence_comes_in_blocks_and_is_the_same_silence() -> None:
    speech = np.full(1000, 0.5, dtype=np.float32)

    def joined(in_blocks: bool) -> list[np.ndarray]:
        joiner = Joiner(1000)
        blocks = [joiner.add(speech)[0]]
        joiner.pause(35.5)
        if in_blocks:
            blocks += joiner.silence()
        blocks.append(joiner.add(speech)[0])
        joiner.pause(25.0)
        if in_blocks:
            blocks += joiner.silence()
        return [*blocks, joiner.finish()]

    assert np.array_equal(np.concatenate(joined(False)), np.concatenate(joined(True)))
    assert max(map(len, joined(True))) <= 12_000


def test_the_page_on_text_is_up_to_date() -> None:
    root = Path(__file__).parents[2]
    import sys

    sys.path.insert(0, str(root / "scripts"))
    try:
        from text_docs import PAGE, render  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(page)
