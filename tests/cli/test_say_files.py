"""Files in and out of `openbark say`: names, refusals to overwrite, timings, sidecars, streams, edits."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result

from openbark.api import Bark
from openbark.audio import pcm16
from openbark.params import GenerationParams

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]

SHORT = ("--max-seconds", "0.2", "--seed", "1")
PARAMS = GenerationParams(max_semantic_seconds=0.2)


@pytest.fixture
def say(run: Run, model_folder: Path) -> Run:
    def invoke(*args: str, stdin: bytes | None = None) -> Result:
        return run("say", "--model", str(model_folder), "--threads", "1", *args, stdin=stdin)

    return invoke


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in (("b.txt", "Bye."), ("a.txt", "Hello."), ("c.md", "Not this.")):
        (folder / name).write_text(text)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    "files", [("--file", "notes/*.txt"), ("--file", "notes/a.txt", "notes/b.txt"), ("--file", "notes/a.txt", "--file", "notes/b.txt")]
)  # fmt: skip
def test_several_files_become_several_files(
    say: Run, notes: Path, tmp_path: Path, files: tuple[str, ...]
) -> None:
    (tmp_path / "out").mkdir()
    result = say(*files, "-o", "out", "--format", "flac", "--json", "-q", *SHORT)
    assert result.exit_code == 0, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["text"] for document in documents] == ["Hello.", "Bye."]
    assert names(tmp_path / "out") == {"a.flac", "b.flac"}
    assert soundfile.info(tmp_path / "out" / "a.flac").format == "FLAC"


def test_each_of_several_files_is_what_it_is_alone(say: Run, notes: Path, tmp_path: Path) -> None:
    assert say("--file", "notes/*.txt", "-q", *SHORT).exit_code == 0
    together = (tmp_path / "b.wav").read_bytes()
    assert say("--file", "notes/b.txt", "-q", "--force", *SHORT).exit_code == 0
    assert (tmp_path / "b.wav").read_bytes() == together


def test_files_of_one_name_are_refused_before_any_work(
    say: Run, notes: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("Another.")
    result = say("--file", "a.txt", "--file", "notes/a.txt", *SHORT)
    assert result.exit_code == 2
    assert "would both become a.wav" in result.stderr
    assert not (tmp_path / "a.wav").exists()


def test_a_text_nobody_can_read_is_found_before_the_first_is_spoken(
    say: Run, notes: Path, tmp_path: Path
) -> None:
    (notes / "b.txt").write_text("   ")
    result = say("--file", "notes/*.txt", *SHORT)
    assert result.exit_code == 2
    assert "notes/b.txt" in result.stderr
    (notes / "b.txt").write_text("привет")
    result = say("--file", "notes/*.txt", *SHORT)
    assert result.exit_code == 2
    assert names(tmp_path) == {"notes"}


@pytest.mark.parametrize(
    ("there", "args"),
    [
        ("a.wav", ("-o", "a.wav")),
        ("a.srt", ("-o", "a.wav", "--timings", "srt")),
        ("b.vtt", ("-o", "a.wav", "--timings", "b.vtt")),
        ("a.wav.json", ("-o", "a.wav", "--sidecar")),
        ("v.npz", ("-o", "a.wav", "--save-voice", "v.npz")),
    ],
)
def test_nothing_is_overwritten_unless_told_to(
    say: Run, tmp_path: Path, there: str, args: tuple[str, ...]
) -> None:
    (tmp_path / there).write_bytes(b"mine")
    long = ("--greedy", "--max-seconds", "0.6")
    result = say("Hello.", *args, *long)
    assert result.exit_code == 2
    assert f"{there} is there already" in result.stderr
    assert names(tmp_path) == {there}
    assert (tmp_path / there).read_bytes() == b"mine"
    assert say("Hello.", *args, *long, "--force").exit_code == 0
    assert (tmp_path / there).read_bytes() != b"mine"


def test_a_text_without_a_name_takes_the_next_free_one(say: Run, tmp_path: Path) -> None:
    for _ in range(3):
        assert say("Hello.", "-q", *SHORT).exit_code == 0
    assert names(tmp_path) == {"speech.wav", "speech-2.wav", "speech-3.wav"}
    assert say("Hello.", "-q", "--force", *SHORT).exit_code == 0
    assert len(names(tmp_path)) == 3


def test_a_folder_is_where_the_file_goes(say: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert say("Hello.", "-q", "-o", "out", *SHORT).exit_code == 0
    assert names(tmp_path / "out") == {"speech.wav"}


@pytest.mark.parametrize("kind", ["srt", "vtt", "json"])
def test_timings_lie_beside_the_audio_or_where_told(say: Run, tmp_path: Path, kind: str) -> None:
    assert say("Hello.", "-q", "-o", "a.wav", "--timings", kind, *SHORT).exit_code == 0
    assert (
        say("Hello.", "-q", "-o", "b.wav", "--timings", f"t.{kind}", "--words", *SHORT).exit_code
        == 0
    )
    assert names(tmp_path) == {"a.wav", f"a.{kind}", "b.wav", f"t.{kind}"}
    text = (tmp_path / f"a.{kind}").read_text()
    assert "Hello." in text
    if kind == "json":
        assert "words" in (tmp_path / "t.json").read_text()
    else:
        assert "00:00:00" in text


def test_a_sidecar_and_the_report_tell_the_same(say: Run, tmp_path: Path) -> None:
    result = say("Hello.", "-q", "-o", "a.pcm", "--sidecar", "--json", "--voice", "en_0", *SHORT)
    assert result.exit_code == 0, result.output
    beside = json.loads((tmp_path / "a.pcm.json").read_text())
    report = json.loads(result.stdout)
    assert beside.items() <= report.items()
    assert set(report) - set(beside) == {"file", "format", "load_seconds", "backend"}
    assert beside["segments"][0]["voice"] == "en_0"


def test_edits_are_applied_and_told(say: Run, tmp_path: Path) -> None:
    assert say("Hello.", "-q", "-o", "a.wav", *SHORT).exit_code == 0
    result = say(
        "Hello.",
        "-q",
        "-o",
        "b.wav",
        "--json",
        "--speed",
        "2",
        "--loudness",
        "-30",
        "--trim",
        *SHORT,
    )
    assert result.exit_code == 0, result.output
    edits = json.loads(result.stdout)["edits"]
    assert edits == {"trim": True, "speed": 2.0, "loudness": -30.0, "sample_rate": None}
    plain, edited = (soundfile.info(tmp_path / name).frames for name in ("a.wav", "b.wav"))
    assert edited <= plain / 2 + 1


def test_another_sample_rate_is_in_the_header(say: Run, tmp_path: Path) -> None:
    assert say("Hello.", "-q", "-o", "a.wav", *SHORT).exit_code == 0
    assert say("Hello.", "-q", "-o", "b.wav", "--sample-rate", "48000", *SHORT).exit_code == 0
    plain, faster = (soundfile.info(tmp_path / name) for name in ("a.wav", "b.wav"))
    assert (plain.samplerate, faster.samplerate) == (24_000, 48_000)
    assert faster.frames == 2 * plain.frames


def test_a_script_gives_each_speaker_a_voice(say: Run, tmp_path: Path) -> None:
    (tmp_path / "play.txt").write_text("ANNA: Yes.\n[pause:1s]\nBEN: No.\n")
    result = say(
        "--file", "play.txt", "--speaker", "ANNA=en_0", "--speaker", "BEN=en_1", "--json", "-q", *SHORT
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [segment["voice"] for segment in document["segments"]] == ["ANNA", "BEN"] or [
        segment["voice"] for segment in document["segments"]
    ] == ["en_0", "en_1"]
    assert document["seconds"] > 1.0
    assert document["script"]["speakers"] == {"ANNA": "en_0", "BEN": "en_1"}


def test_a_broken_script_is_found_before_any_is_spoken(say: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Yes.")
    (tmp_path / "b.txt").write_text("No [what]?")
    result = say("--file", "*.txt", "--script", "text", *SHORT)
    assert result.exit_code == 2
    assert "b.txt: " in result.stderr
    assert names(tmp_path) == {"a.txt", "b.txt"}
    assert say("--file", "b.txt", "--markup", "speak", "-q", *SHORT).exit_code in (0, 2)


def expected(model_folder: Path, text: str) -> np.ndarray:
    bark = Bark.load(model_folder, threads=1)
    return np.concatenate(list(bark.stream(text, seed=1, params=PARAMS)))


@pytest.mark.parametrize("format", ["wav", "pcm", "flac"])
def test_a_stream_is_the_audio_as_it_is_made(
    say: Run, model_folder: Path, tmp_path: Path, format: str
) -> None:
    text = "Hello there. How are you?"
    result = say(text, "--stream", "-", "--format", format, "--no-watermark", *SHORT)
    assert result.exit_code == 0, result.output
    wanted = pcm16(expected(model_folder, text))
    data = result.stdout_bytes
    if format == "wav":
        with wave.open(io.BytesIO(data)) as stream:
            found = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
    elif format == "pcm":
        found = np.frombuffer(data, "<i2")
    else:
        assert data[:4] == b"fLaC"
        return
    assert np.array_equal(found, wanted)
    assert names(tmp_path) == set()


def test_a_stream_below_the_sentence_is_one_strict_file(say: Run, model_folder: Path) -> None:
    text = "Hello there. How are you?"
    result = say(text, "--stream", "-", "--latency", "low", "--no-watermark", *SHORT)
    assert result.exit_code == 0, result.output
    bark = Bark.load(model_folder, threads=1)
    blocks = list(bark.stream(text, seed=1, params=PARAMS, latency="low"))
    with wave.open(io.BytesIO(result.stdout_bytes)) as stream:
        found = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
    read, rate = soundfile.read(io.BytesIO(result.stdout_bytes), dtype="int16")
    assert np.array_equal(found, pcm16(np.concatenate(blocks)))
    assert np.array_equal(read, found) and rate == 24_000


def test_a_stream_can_be_faster(say: Run, model_folder: Path) -> None:
    data = say("Hello.", "--stream", "-", "--format", "pcm", "--speed", "2", *SHORT).stdout_bytes
    assert len(data) // 2 == round(len(expected(model_folder, "Hello.")) / 2)


def test_interrupting_a_stream_exits_130_and_writes_no_file(
    model_folder: Path, tmp_path: Path
) -> None:
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from openbark.cli.main import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "say", "Hello there. " * 400, "--stream", "-", "--format", "pcm",
         "--model", str(model_folder), "--threads", "1", "--seed", "1"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert len(process.stdout.read(1000)) == 1000
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr.decode()
    assert b"error: interrupted" in stderr
    assert b"Traceback" not in stderr
    assert names(tmp_path) == set()


def test_a_player_that_leaves_ends_the_stream(model_folder: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "openbark", "say", "Hello there. " * 400, "--stream", "-", "--format", "pcm",
         "--model", str(model_folder), "--threads", "1", "--seed", "1"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    assert len(process.stdout.read(1000)) == 1000
    process.stdout.close()
    with process.stderr as stream:
        stderr = stream.read()
    assert process.wait(timeout=60) == 1
    assert b"Traceback" not in stderr
