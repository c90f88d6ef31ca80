"""`openbark replay`: the same bytes on the same model, and a word on everything else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result
from safetensors.numpy import load_file, save_file

Run = Callable[..., Result]

SHORT = ("--max-seconds", "0.2", "--threads", "1", "-q")


@pytest.fixture
def made(run: Run, model_folder: Path) -> Callable[..., Path]:
    """Speaks into a file, and returns it."""

    def make(name: str, *args: str) -> Path:
        result = run("say", "Hello there.", "--model", str(model_folder), "-o", name, *SHORT, *args)
        assert result.exit_code == 0, result.output
        return Path(name)

    return make


@pytest.fixture
def replay(run: Run, model_folder: Path) -> Run:
    def invoke(*args: str) -> Result:
        return run("replay", "--model", str(model_folder), "--threads", "1", *args)

    return invoke


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("a.wav", ()),
        ("a.flac", ("--voice", "en_0")),
        ("a.wav", ("--format", "f32", "--speed", "1.5", "--trim")),
        ("a.wav", ("--greedy",)),
    ],
)
def test_lossless_audio_is_made_again_byte_for_byte(
    made: Callable[..., Path], replay: Run, name: str, args: tuple[str, ...]
) -> None:
    path = made(name, *args)
    result = replay(str(path), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["same_bytes"], document["difference"]) == (True, None)
    again = path.with_name(f"a.replay{path.suffix}")
    assert document["output"] == str(again)
    assert again.read_bytes() == path.read_bytes()
    assert "the same bytes as" in result.stderr


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (
            "Hello there. How are you? I am well.",
            ("--voice", "en_0", "--policy", "chain", "--trim"),
        ),
        ("ANNA: Yes. [pause:1s]\nBEN: No.", ("--speaker", "ANNA=en_0", "--speaker", "BEN=en_1")),
    ],
    ids=["in pieces", "script"],
)
def test_long_texts_and_scripts_are_made_again(
    run: Run, replay: Run, model_folder: Path, text: str, args: tuple[str, ...]
) -> None:
    model = ("--model", str(model_folder), "--greedy", *SHORT)
    result = run("say", text, "-o", "a.flac", "--json", *args, *model)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["segments"]) > 1
    result = replay("a.flac", "--check")
    assert result.exit_code == 0, result.output


def test_check_writes_nothing(made: Callable[..., Path], replay: Run, tmp_path: Path) -> None:
    path = made("a.wav")
    result = replay(str(path), "--check")
    assert result.exit_code == 0, result.output
    assert [each.name for each in tmp_path.iterdir()] == ["a.wav"]
    path.write_bytes(path.read_bytes()[:-2] + b"\1\1")
    result = replay(str(path), "--check")
    assert result.exit_code == 1
    assert "other bytes than a.wav" in result.stderr


def test_a_sidecar_makes_raw_audio_again(made: Callable[..., Path], replay: Run) -> None:
    path = made("a.pcm", "--sidecar")
    result = replay("a.pcm.json", "-o", "b.pcm")
    assert result.exit_code == 0, result.output
    assert Path("b.pcm").read_bytes() == path.read_bytes()


def test_lossy_audio_is_made_again_and_not_compared(made: Callable[..., Path], replay: Run) -> None:
    made("a.mp3")
    result = replay("a.mp3", "--json", "-q")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["same_bytes"] is None
    first, second = (soundfile.read(name)[0] for name in ("a.mp3", "a.replay.mp3"))
    assert np.array_equal(first, second)


def test_another_model_is_told(
    made: Callable[..., Path], run: Run, model_folder: Path, tmp_path: Path
) -> None:
    made("a.wav")
    other = tmp_path / "other"
    shutil.copytree(model_folder, other)
    tensors = load_file(other / "model.safetensors")
    name = "semantic.lm_head.weight"
    save_file({**tensors, name: tensors[name] * np.float32(1.5)}, other / "model.safetensors")
    result = run("replay", "a.wav", "--model", str(other), "--threads", "1")
    assert result.exit_code == 0, result.output
    assert "warning: another model: a.wav was made by tiny with the fingerprint" in result.stderr


def test_refusals(made: Callable[..., Path], run: Run, replay: Run, tmp_path: Path) -> None:
    made("a.wav")
    (tmp_path / "text.txt").write_text("no sound")
    Path("a.replay.wav").write_bytes(b"mine")
    for result, message in (
        (replay("a.wav"), "a.replay.wav is there already"),
        (replay("absent.wav"), "no audio file at absent.wav"),
        (replay("text.txt"), "cannot be read as audio"),
        (replay("a.wav", "--voice", "en_1", "--force"), "has other tokens"),
        (run("replay", "a.wav", "--force"), "give the folder with --model"),
    ):
        assert result.exit_code == 2, result.output
        assert message in " ".join(result.stderr.split())
    assert Path("a.replay.wav").read_bytes() == b"mine"
