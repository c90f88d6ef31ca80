from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result

from openbark.api import Bark
from openbark.audio import pcm16, playback
from openbark.audio.playback import Player
from openbark.params import GenerationParams, SamplingParams

Run = Callable[..., Result]

SHORT = ("--max-seconds", "0.2")


@pytest.fixture
def say(run: Run, model_folder: Path) -> Run:
    def invoke(*args: str, stdin: bytes | None = None) -> Result:
        return run("say", "--model", str(model_folder), "--threads", "1", *args, stdin=stdin)

    return invoke


def recipe(path: Path) -> dict[str, object]:
    with soundfile.SoundFile(path) as stream:
        found: dict[str, object] = json.loads(stream.comment)
    return found


def test_default_output_and_card(say: Run, tmp_path: Path) -> None:
    result = say("Hello.", "--seed", "7", "--voice", "en_0", *SHORT)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]
    with wave.open(str(tmp_path / "speech.wav")) as stream:
        assert (stream.getframerate(), stream.getsampwidth()) == (24_000, 2)
        assert stream.getnframes() > 0
    assert result.stdout == ""
    for part in ("s of audio", "real-time factor", "seed 7", "voice en_0", "file speech.wav"):
        assert part in result.stderr


def test_say_is_the_default_command(run: Run, model_folder: Path, tmp_path: Path) -> None:
    model = ("--model", str(model_folder), "--seed", "1", "-q", *SHORT)
    for args in (
        ("Hello.", *model, "-o", "a.wav"),
        (*model, "-o", "b.wav", "Hello."),
        ("say", "Hello.", *model, "-o", "c.wav"),
        (*model, "-o", "d.wav", "--", "Hello."),
    ):
        result = run(*args)
        assert result.exit_code == 0, result.output
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 4
    assert len(contents) == 1


def test_the_clip_is_the_api_s(say: Run, model_folder: Path, tmp_path: Path) -> None:
    options = ("--seed", "3", "--semantic-temperature", "1.1", "--no-watermark")
    assert say("Hi.", *options, *SHORT).exit_code == 0
    params = GenerationParams(semantic=SamplingParams(temperature=1.1), max_semantic_seconds=0.2)
    clip = Bark.load(model_folder, threads=1).generate("Hi.", seed=3, params=params)
    with wave.open(str(tmp_path / "speech.wav")) as stream:
        frames = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
    assert np.array_equal(frames, pcm16(clip.waveform))


def test_every_sampling_option_arrives(say: Run) -> None:
    result = say(
        "Hi.", "--json", "-q", "--seed", "1", *SHORT,
        "--semantic-temperature", "0.9", "--semantic-top-k", "50", "--semantic-top-p", "0.8",
        "--min-eos-p", "0.5", "--coarse-temperature", "0.6", "--coarse-top-k", "40",
        "--coarse-top-p", "0.7", "--fine-temperature", "0.4",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    params = json.loads(result.stdout)["params"]
    assert params["semantic"] == {
        "temperature": 0.9,
        "top_k": 50,
        "top_p": 0.8,
        "min_eos_p": 0.5,
    }
    assert params["coarse"] == {"temperature": 0.6, "top_k": 40, "top_p": 0.7, "min_eos_p": 0.2}
    assert params["fine"]["temperature"] == 0.4
    assert params["max_semantic_seconds"] == 0.2


def test_greedy_needs_no_seed_to_repeat(say: Run) -> None:
    documents = []
    for seed in ("1", "2"):
        # The watermark would name the seed.
        files = ("-o", f"{seed}.wav", "--json", "-q", "--no-watermark")
        result = say("Hi.", "--greedy", "--seed", seed, *files, *SHORT)
        assert result.exit_code == 0, result.output
        documents.append(json.loads(result.stdout))
    assert documents[0]["params"]["fine"]["temperature"] == 0.0
    first, second = (soundfile.read(f"{seed}.wav", dtype="int16")[0] for seed in ("1", "2"))
    assert np.array_equal(first, second)


def test_json_is_one_document_on_stdout(say: Run) -> None:
    result = say("Hello.", "--json", "--seed", "5", "-o", "a.flac", "--voice", "en_1", *SHORT)
    document = json.loads(result.stdout)
    assert (document["file"], document["format"]) == ("a.flac", "flac")
    assert (document["seed"], document["voice"], document["model"]) == (5, "en_1", "tiny")
    assert document["seconds"] > 0
    assert set(document["timings"]) == {"semantic", "coarse", "fine", "codec"}
    assert document["stop_reason"] in ("eos", "min_eos_p", "max_tokens", "max_seconds")
    assert "real-time factor" in result.stderr


def test_quiet_says_nothing(say: Run) -> None:
    result = say("Hello.", "-q", *SHORT)
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(("args", "expected"), [
    (("-o", "a.flac"), "FLAC"),
    (("-o", "a.mp3"), "MP3"),
    (("-o", "a.ogg"), "OGG"),
    (("-o", "a.bin", "--format", "flac"), "FLAC"),
])  # fmt: skip
def test_formats(say: Run, tmp_path: Path, args: tuple[str, ...], expected: str) -> None:
    assert say("Hello.", "-q", *args, *SHORT).exit_code == 0
    assert soundfile.info(tmp_path / args[1]).format == expected


def test_format_names_the_default_file(say: Run, tmp_path: Path) -> None:
    assert say("Hello.", "-q", "--format", "flac", *SHORT).exit_code == 0
    assert say("Hello.", "-q", "--format", "f32", *SHORT).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"speech.flac", "speech.wav"}
    assert soundfile.info("speech.wav").subtype == "FLOAT"


def test_stdin_to_stdout(say: Run, tmp_path: Path) -> None:
    result = say("-", "-o", "-", "--seed", "1", *SHORT, stdin=b" Hello \n there.\n")
    assert result.exit_code == 0
    with wave.open(io.BytesIO(result.stdout_bytes)) as stream:
        assert stream.getnframes() > 0
    assert "file stdout" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_text_from_a_file(say: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"\xef\xbb\xbfHello\r\nthere.\r\n")
    assert say("--file", "in.txt", "-q", *SHORT).exit_code == 0
    assert recipe(tmp_path / "in.wav")["text"] == "Hello\nthere."


def test_the_seed_is_always_told_and_repeats_the_clip(say: Run, tmp_path: Path) -> None:
    first = json.loads(say("Hello.", "--json", "-q", *SHORT).stdout)
    data = (tmp_path / "speech.wav").read_bytes()
    assert recipe(tmp_path / "speech.wav")["seed"] == first["seed"]
    say("Hello.", "-q", "--force", "--seed", str(first["seed"]), *SHORT)
    assert (tmp_path / "speech.wav").read_bytes() == data


def test_save_voice_and_speak_with_it(say: Run, tmp_path: Path) -> None:
    assert (
        say("Hello.", "--greedy", "--save-voice", "me.npz", "--max-seconds", "0.6").exit_code == 0
    )
    result = say("Hi.", "--voice", "me.npz", *SHORT)
    assert result.exit_code == 0, result.output
    assert "voice me," in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"me.npz", "speech.wav", "speech-2.wav"}


def test_play_errors_are_typed(say: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "PLAYERS", (Player(("no-such-player",)),))
    result = say("Hello.", "--play", *SHORT)
    assert result.exit_code == 2
    assert "error: nothing here can play audio (looked for no-such-player)" in result.stderr
    assert list(tmp_path.iterdir()) == []
    player = tmp_path / "player"
    player.write_text("#!/bin/sh\necho 'no sound card' >&2\nexit 3\n")
    player.chmod(0o755)
    monkeypatch.setattr(playback, "PLAYERS", (Player((str(player),), (str(player),)),))
    result = say("Hello.", "--play", *SHORT)
    assert result.exit_code == 2
    assert "no sound card" in result.stderr
    assert (tmp_path / "speech.wav").is_file()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_bar_counts_seconds_of_audio_on_a_terminal(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openbark.progress import ProgressBar

    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with ProgressBar() as bar:
        for stage, total in (("semantic", None), ("coarse", 2.0)):
            for step in range(1, 11):
                bar(stage, step / 5, total)
                if bar._bar is not None:
                    bar._bar.refresh()
    shown = terminal.getvalue()
    assert "semantic 2.0 s of audio" in shown
    assert "2.0 of 2.0 s of audio" in shown
    silent = io.StringIO()
    monkeypatch.setattr("sys.stderr", silent)
    with ProgressBar() as bar:
        bar("semantic", 1.0, None)
    assert silent.getvalue() == ""
