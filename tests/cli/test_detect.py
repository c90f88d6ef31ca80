"""`openbark detect` on files made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from openbark.audio import write_audio
from openbark.cli.main import cli
from openbark.watermark import Payload, embed_watermark

RATE = 24_000


def detect(*words: str) -> Result:
    return CliRunner().invoke(cli, ["detect", *words], prog_name="openbark")


def sound(seconds: float = 5.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    samples = np.cumsum(rng.standard_normal(int(seconds * RATE)))
    samples = np.diff(samples, prepend=0.0) * np.abs(np.sin(np.arange(len(samples)) / 4000))
    return (samples / np.abs(samples).max() * 0.5).astype(np.float32)


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg"])
def test_a_marked_file(tmp_path: Path, format: str) -> None:
    file = tmp_path / f"marked.{format}"
    comment = json.dumps({"generator": "openbark 9.9"})
    marked = embed_watermark(sound(), RATE, Payload(0xABC, 0x1234))
    write_audio(file, marked, RATE, None, {"comment": comment})
    found = json.loads(detect(str(file), "--json").stdout)
    assert found["generator"] == "openbark 9.9"
    assert found["watermark"]["state"] == "present"
    assert found["watermark"]["payload"] == {"model": 0xABC, "seed": 0x1234, "version": 1}
    said = detect(str(file)).stdout
    assert "a recipe of openbark 9.9" in said
    assert "model abc, seed hash 1234" in said


def test_an_unmarked_file_and_a_short_one(tmp_path: Path) -> None:
    file = tmp_path / "plain.wav"
    write_audio(file, sound(), RATE)
    assert detect(str(file)).stdout.startswith("tags: no recipe\nwatermark: absent")
    write_audio(file, sound(0.5), RATE)
    assert "too short to tell: 0.50 s" in detect(str(file)).stdout


@pytest.mark.parametrize("comment", ["[1]", "{", '{"generator": 3}', '{"generator": "other"}'])
def test_a_comment_of_others_is_no_recipe(tmp_path: Path, comment: str) -> None:
    file = tmp_path / "other.wav"
    write_audio(file, sound(), RATE, None, {"comment": comment})
    assert "tags: no recipe" in detect(str(file)).stdout


def test_what_is_not_audio(tmp_path: Path) -> None:
    file = tmp_path / "text.wav"
    file.write_text("no audio")
    assert detect(str(file)).exit_code == 2
    assert detect(str(tmp_path / "missing.wav")).exit_code == 2
