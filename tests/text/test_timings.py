"""Subtitles out: exact sentences, estimated words, three formats."""

from __future__ import annotations

import itertools
import json

import pytest

from openbark.errors import ParamError
from openbark.text.scripts.items import Speech
from openbark.text.scripts.read import parse_script
from openbark.text.timings import TextTiming, format_timings, word_timings

SENTENCES = (
    TextTiming("Hello dear\nworld.", 0.5, 2.5, 0, 17),
    TextTiming("It --> ends.", 3661.0004, 3662.5, 19, 31),
)


def test_words_share_the_sentence_s_time_in_order() -> None:
    words = word_timings(SENTENCES[0])
    assert [word.text for word in words] == ["Hello", "dear", "world."]
    assert [(word.start, word.stop) for word in words] == [(0, 5), (6, 10), (11, 17)]
    assert words[0].starts_at == 0.5
    assert words[-1].stops_at == pytest.approx(2.5)
    assert all(word.is_estimate for word in words)
    assert all(a.stops_at <= b.starts_at for a, b in itertools.pairwise(words))


def test_words_without_spaces() -> None:
    words = word_timings(TextTiming("今日はカメラAB。", 0.0, 3.0, 5, 14))
    assert [word.text for word in words] == ["今", "日", "は", "カメラ", "AB。"]
    assert words[-1].stop == 14


def test_srt_is_read_back_by_our_own_reader() -> None:
    written = format_timings(SENTENCES)
    cues = [item for item in parse_script(written, "srt") if isinstance(item, Speech)]
    assert [(cue.text.strip(), cue.starts_at, cue.stops_at) for cue in cues] == [
        ("Hello dear world.", 0.5, 2.5),
        ("It -> ends.", 3661.0, 3662.5),
    ]


def test_vtt_marks_estimates() -> None:
    assert format_timings(SENTENCES, "vtt").startswith(
        "WEBVTT\n\n1\n00:00:00.500 --> 00:00:02.500\n"
    )
    assert "NOTE times of words are estimates" in format_timings(SENTENCES, "vtt", words=True)


def test_json_carries_spans() -> None:
    document = json.loads(format_timings(SENTENCES, "json", words=True))
    first = document["sentences"][0]
    assert (first["start"], first["end"], first["span"]) == (0.5, 2.5, [0, 17])
    assert first["is_estimate"] is False
    assert [word["is_estimate"] for word in first["words"]] == [True] * 3
    assert "words" not in json.loads(format_timings(SENTENCES, "json"))["sentences"][0]


def test_unknown_format() -> None:
    with pytest.raises(ParamError, match="'ass'; allowed: srt, vtt, json"):
        format_timings(SENTENCES, "ass")
