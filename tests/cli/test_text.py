"""`openbark text`, and the formats of `openbark say`: what is shown is what is spoken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from openbark.api import Bark

Run = Callable[..., Result]

SRT = "1\n00:00:01,000 --> 00:00:02,000\n<i>Yes.</i>\n\n2\n00:00:03,000 --> 00:00:04,000\n[door slams]\n"


def pieces(output: str) -> list[tuple[str, float]]:
    return [(piece["spoken"], piece["pause"]) for piece in json.loads(output)["pieces"]]


def test_pieces_pauses_language_and_what_is_left_out(run: Run) -> None:
    result = run("text", "Dr. Smith paid $5 😀.\n\nApple")
    assert result.exit_code == 0, result.output
    assert "1 Doctor Smith paid five dollars." in result.stdout
    assert "then a pause of 0.70 s" in result.stdout
    assert "2 pieces" in result.stdout and "language en, read as text" in result.stdout
    assert "left out of the speech: 😀 (U+1F600) (has no sound)" in result.stdout


def test_json_names_places_and_reasons(run: Run) -> None:
    text = "**Hi** there ★.\n\n- Yes"
    document = json.loads(run("text", text, "--json").stdout)
    assert document["format"] == "markdown"
    assert [(piece["spoken"], piece["pause"]) for piece in document["pieces"]] == [
        ("Hi there.", 0.7),
        ("Yes", 0.0),
    ]
    assert document["left_out"] == [{"text": "★", "reason": "has no sound"}]
    assert all(text[piece["start"]] in "HY" for piece in document["pieces"])


def test_the_file_s_name_tells_the_format_unless_one_is_given(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One\ntwo *three*")
    (tmp_path / "b.html").write_text("<p>One</p>")
    (tmp_path / "c.srt").write_text(SRT)
    kinds = [
        json.loads(run("text", "--file", name, "--json").stdout)["format"]
        for name in ("a.md", "b.html", "c.srt")
    ]
    assert kinds == ["markdown", "html", "srt"]
    given = run("text", "--file", "b.html", "--input-format", "text", "--json")
    assert json.loads(given.stdout)["format"] == "text"


def test_strict_refuses_with_one_line(run: Run) -> None:
    result = run("text", "nice 😀", "--strict")
    assert result.exit_code == 2
    assert "strict reading refuses" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_is_shown_is_what_a_plan_says(run: Run) -> None:
    text = "Hello there.\nHow are you?\n\nFine."
    planned = Bark.load("embedded", threads=1).plan(text).report()
    assert pieces(run("text", text, "--json").stdout) == [
        (piece.spoken, piece.pause) for piece in planned.pieces
    ]


@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_say_reads_subtitles_by_their_name(
    run: Run, model_folder: Path, tmp_path: Path, name: str
) -> None:
    head = "WEBVTT\n\n" if name.endswith("vtt") else ""
    (tmp_path / name).write_text(head + SRT.replace(",", ".") if head else SRT)
    result = run(
        "say", "--file", name, "-o", "out.wav", "--json", "-q", "--model", str(model_folder),
        "--threads", "1", "--max-seconds", "0.2", "--seed", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["script"]["format"] == "srt"
    assert document["seconds"] > 1.0 and np.isfinite(document["seconds"])
