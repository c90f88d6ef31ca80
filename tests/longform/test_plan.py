"""Plans: what is one piece, what is between pieces, and plans that are read as far as somebody looks."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from planned_text import ANY, CONFIG, TEXT, encode, voice

from openbark.errors import TextError
from openbark.longform.options import LongFormOptions, Pauses
from openbark.longform.plan import (
    LazyPieces,
    Plan,
    PlannedPiece,
    fits,
    piece_budget,
    plan_script,
    plan_text,
)
from openbark.text.scripts.items import Speech
from openbark.text.scripts.read import parse_script
from openbark.voices.voice import Voice


def plan(options: LongFormOptions = ANY, given: Voice | None = None, text: str = TEXT) -> Plan:
    return plan_text(text, encode, given, CONFIG, options)


def test_N15_a_plan_covers_the_text_and_pauses_by_what_ends() -> None:
    options = dataclasses.replace(ANY, pauses=Pauses(0.1, 0.2, 0.9))
    pieces = plan(options).pieces
    assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(TEXT.split())
    assert [piece.pause for piece in pieces] == [0.2, 0.2, 0.2, 0.9, 0.0]
    assert all(TEXT[piece.start : piece.stop] == piece.text for piece in pieces)


def test_a_lazy_plan_is_the_same_plan_read_as_far_as_it_is_looked_at() -> None:
    said: list[str] = []

    def counted(text: str) -> tuple[str, np.ndarray]:
        said.append(text)
        return encode(text)

    source = (
        "[pause:1s]\nA: One two three. Four five!\nB: Six. [pause:2s]\n\n" + "Seven eight. " * 500
    )
    items = parse_script(source, "text", ("A", "B"))
    cast = {"A": voice(1), "B": voice(2), "": None}

    def voice_of(speech: Speech) -> tuple[str | None, Voice | None]:
        return speech.speaker, cast[speech.speaker or ""]

    whole = plan_script(items, encode, voice_of, CONFIG, ANY)
    lazy = plan_script(items, counted, voice_of, CONFIG, ANY, lazily=True)
    assert isinstance(lazy.pieces, LazyPieces)
    assert lazy.lead == whole.lead == 1.0
    assert lazy.pieces[0].text == "One two three."
    assert [piece.text for piece in lazy.pieces[1:3]] == ["Four five!", "Six."]
    assert lazy.pieces[2].pause == 2.0
    assert len(set(said)) < 12
    for one, other in itertools.zip_longest(lazy.pieces, whole.pieces):
        np.testing.assert_array_equal(one.text_tokens, other.text_tokens)
        for field in set(PlannedPiece.__dataclass_fields__) - {"text_tokens"}:
            assert getattr(one, field) == getattr(other, field)
    assert len(lazy.pieces) == len(whole.pieces)
    assert lazy.pieces[-1] is lazy.pieces[len(lazy.pieces) - 1]
    assert lazy.seconds == whole.seconds


def test_a_lazy_plan_finds_letters_that_cannot_be_read_at_once() -> None:
    def english(text: str) -> tuple[str, np.ndarray]:
        if "漢" in text:
            raise TextError(f"cannot read {text}")
        return encode(text)

    book = "One two. " * 1000
    assert isinstance(plan_text(book, english, None, CONFIG, ANY, lazily=True).pieces, LazyPieces)
    with pytest.raises(TextError, match="cannot read 漢"):
        plan_text(book + "漢.", english, None, CONFIG, ANY, lazily=True)


def test_what_fits_is_one_request() -> None:
    assert fits("One two three.", encode, CONFIG, ANY)
    assert not fits("word " * 17, encode, CONFIG, ANY)  # tokens
    assert not fits("abcdefghijklmno" * 6, encode, CONFIG, ANY)  # seconds
    budget = piece_budget(CONFIG, ANY)
    assert budget.max_tokens == CONFIG.semantic_rules.max_text_tokens - 1


def test_split_none_keeps_one_piece_and_refuses_what_is_too_long() -> None:
    whole = dataclasses.replace(ANY, split="none")
    assert [piece.text for piece in plan(whole, text=" a b. c d. ").pieces] == ["a b. c d."]
    with pytest.raises(TextError, match="20 tokens long, this model takes at most 16"):
        plan(whole, text="word " * 20)


def test_text_without_a_sound_joins_its_neighbour_and_unreadable_text_is_refused() -> None:
    def english(text: str) -> tuple[str, np.ndarray]:
        said = text.replace("*", "").strip()
        if not said or "漢" in said:
            raise TextError(f"cannot read {text}")
        return encode(said)

    planned = plan_text("One.\n\n***\n\nTwo.", english, None, CONFIG, ANY)
    assert [piece.text for piece in planned.pieces] == ["One.\n\n***", "Two."]
    for bad in ("***", "One. 漢."):
        with pytest.raises(TextError, match="cannot read"):
            plan_text(bad, english, None, CONFIG, ANY)
