"""What a clip knows and passes on: segments, edits, JSON, tags, sidecars."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openbark.audio import MAX_OGG_TAG_BYTES, read_audio, read_tags
from openbark.audio.playback import Player
from openbark.config import BarkConfig
from openbark.errors import AudioError, ParamError
from openbark.params import SUNO_PARAMS
from openbark.result import Clip, ClipTokens, ModelOrigin, Segment, sidecar_path
from openbark.stages.semantic import StopReason

RATE = 24_000


def make_clip(text: str = "Hello there. Bye.", level: float = 0.3) -> Clip:
    times = np.arange(RATE) / RATE
    tone = (level * np.sin(2 * np.pi * 220 * times)).astype(np.float32)
    silence = np.zeros(RATE, dtype=np.float32)
    return Clip(
        waveform=np.concatenate([silence, tone, silence]),
        sample_rate=RATE,
        tokens=ClipTokens(np.arange(20), np.zeros((2, 30), int), np.zeros((8, 30), int)),
        seed=7,
        stop_reason=StopReason.EOS,
        timings={"semantic": 0.5, "codec": 0.25},
        text=text,
        normalized_text=text,
        n_text_tokens=5,
        voice="en_0",
        params=SUNO_PARAMS,
        config=BarkConfig.tiny(),
        origin=ModelOrigin("embedded", "0123", "native", "cpu", "float32"),
        voice_digest="abcd",
    )


def test_a_text_spoken_whole_is_one_segment() -> None:
    clip = make_clip()
    assert clip.segments == (Segment(0, 17, 0, 3 * RATE, 7, StopReason.EOS, "en_0"),)
    document = json.loads(clip.to_json())
    assert document["segments"][0]["text"] == "Hello there. Bye."
    assert document["segments"][0]["end_seconds"] == 3.0


def test_segments_say_where_each_piece_is_spoken() -> None:
    pieces = (
        Segment(0, 12, 0, RATE, 1, StopReason.EOS, "en_0"),
        Segment(13, 17, RATE, 3 * RATE, 2, StopReason.MAX_TOKENS, "en_0", 3, 0.5),
    )
    document = replace(make_clip(), segments=pieces).to_dict()
    assert [segment["text"] for segment in document["segments"]] == ["Hello there.", "Bye."]
    assert document["segments"][1]["start_seconds"] == 1.0
    assert document["segments"][1]["stop_reason"] == "max_tokens"
    assert document["segments"][1]["n_attempts"] == 3


def test_the_document_is_plain_json_and_holds_the_provenance() -> None:
    clip = make_clip()
    document = json.loads(clip.to_json())
    assert document["seed"] == 7
    assert document["stop_reason"] == "eos"
    assert document["timings"] == {"semantic": 0.5, "codec": 0.25}
    assert document["made_with"]["fingerprint"] == "0123"
    assert document["n_clipped"] == 0
    assert clip.provenance().items() <= document.items()
    assert "timings" not in clip.provenance()


def test_edits_change_the_waveform_and_move_the_segments() -> None:
    clip = make_clip()
    edited = clip.edited(trim=True, speed=2.0, loudness=-20.0)
    assert edited.seconds == pytest.approx(1.3 / 2, abs=0.02)
    assert edited.loudness == pytest.approx(-20.0, abs=0.1)
    (segment,) = edited.segments
    assert (segment.first_sample, segment.end_sample) == (0, len(edited.waveform))
    expected = {"trim": True, "speed": 2.0, "loudness": -20.0, "sample_rate": None}
    assert edited.provenance()["edits"] == expected
    assert "edits" not in clip.provenance()
    assert edited.tokens is clip.tokens
    with pytest.raises(ParamError, match="edited already"):
        edited.edited(trim=True)


def test_a_segment_inside_moves_with_the_cut_and_the_speed() -> None:
    inner = Segment(0, 5, RATE, 2 * RATE, 7, StopReason.EOS)
    edited = replace(make_clip(), segments=(inner,)).edited(trim=True, speed=0.5)
    (segment,) = edited.segments
    assert segment.first_sample / RATE == pytest.approx(0.3, abs=0.02)
    assert segment.end_sample / RATE == pytest.approx(2.3, abs=0.02)


def test_another_sample_rate_moves_the_segments() -> None:
    inner = Segment(0, 5, RATE, 2 * RATE, 7, StopReason.EOS)
    edited = replace(make_clip(), segments=(inner,)).edited(sample_rate=48_000)
    assert (edited.sample_rate, edited.seconds) == (48_000, 3.0)
    assert (edited.segments[0].first_sample, edited.segments[0].end_sample) == (48_000, 96_000)
    clip = make_clip()
    assert clip.edited() is clip


def test_a_clip_plays_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = tmp_path / "player"
    player.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/played.wav\n')
    player.chmod(0o755)
    monkeypatch.setattr("openbark.audio.playback.PLAYERS", (Player((str(player),)),))
    make_clip().play()
    assert len(read_audio(tmp_path / "played.wav")[0]) == 3 * RATE
    monkeypatch.setattr("openbark.audio.playback.PLAYERS", (Player(("no-such-player",)),))
    with pytest.raises(AudioError, match="no-such-player"):
        make_clip().play()


def test_clipped_samples_are_counted() -> None:
    loud = make_clip(level=2.0)
    assert loud.n_clipped > 0
    buffer = io.BytesIO()
    loud.save(buffer)
    assert loud.to_dict()["n_clipped"] == loud.n_clipped
    assert replace(loud, waveform=loud.waveform * 0).loudness == -math.inf


def test_a_sidecar_lies_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.b.pcm"
    make_clip().save(path, sidecar=True)
    assert sidecar_path(path) == tmp_path / "a.b.pcm.json"
    assert json.loads(sidecar_path(path).read_text())["text"] == "Hello there. Bye."
    with pytest.raises(AudioError, match="stream"):
        make_clip().save(io.BytesIO(), sidecar=True)


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg"])
def test_a_long_text_is_in_the_tags_or_its_absence_is_told(tmp_path: Path, format: str) -> None:
    text = "あいう " * 6000
    path = tmp_path / f"a.{format}"
    make_clip(text).save(path)
    tags = read_tags(path)
    recipe = json.loads(tags["comment"])
    assert len(read_audio(path)[0]) >= 3 * RATE
    assert tags["title"] == text[:200].strip() or tags["title"] == text[:200]
    if format == "ogg":
        assert len(text.encode()) > MAX_OGG_TAG_BYTES
        assert recipe["text"] is None
        assert len(recipe["text_sha256"]) == 64
    else:
        assert recipe["text"] == text


def test_the_same_clip_is_the_same_file(tmp_path: Path) -> None:
    for format in ("wav", "f32", "flac", "pcm", "mp3"):
        for name in ("a", "b"):
            make_clip().save(tmp_path / name, format)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
