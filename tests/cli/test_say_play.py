"""`openbark say --play`: heard while it is made, by a player that is a process of its own, and written as ever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result
from waiting import wait_until

from openbark import Bark
from openbark.audio import pcm16, playback, playback_buffer
from openbark.audio.playback import Player
from openbark.cli.live import Outlet
from openbark.params import GenerationParams

Run = Callable[..., Result]

SHORT = ("--max-seconds", "0.2")
PARAMS = GenerationParams(max_semantic_seconds=0.2)
TEXT = "It was late. Nobody came, and he slept. Why not?"


@pytest.fixture
def say(run: Run, model_folder: Path) -> Run:
    def invoke(*args: str) -> Result:
        return run("say", *args, "--model", str(model_folder), "--threads", "1", *SHORT)

    return invoke


@pytest.fixture
def heard(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the player was given: bytes on its standard input, or a file."""
    folder = tmp_path_factory.mktemp("player")
    script = folder / "player"
    script.write_text(
        f'#!/bin/sh\nif [ "$1" ]; then cp "$1" {folder}/heard; else cat > {folder}/heard; fi\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(playback, "PLAYERS", (Player((str(script),), (str(script),)),))
    return folder / "heard"


def test_what_is_heard_is_what_is_written(say: Run, heard: Path, tmp_path: Path) -> None:
    result = say(TEXT, "--play", "--seed", "7", "--speed", "1.5", "-o", "a.wav")
    assert result.exit_code == 0, result.output
    assert "file a.wav" in result.stderr
    written = soundfile.read(tmp_path / "a.wav", dtype="int16")[0]
    np.testing.assert_array_equal(np.fromfile(heard, "<i2"), written)


def test_playing_begins_before_the_rest_is_made(
    say: Run, heard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second piece is not begun until the first is heard; were it played at the end, this would time out."""
    monkeypatch.setattr(playback_buffer, "_MOST_SECONDS", 0.0)
    push, sizes = Outlet.push, []

    def pushed(outlet: Outlet, block: np.ndarray) -> None:
        push(outlet, block)
        n_bytes = 2 * round(outlet.seconds * 24_000)
        wait_until(lambda: heard.exists() and heard.stat().st_size >= n_bytes)
        sizes.append(heard.stat().st_size)

    monkeypatch.setattr(Outlet, "push", pushed)
    result = say(TEXT, "--play", "-q")
    assert result.exit_code == 0, result.output
    assert len(sizes) > 1
    assert 0 < sizes[0] < sizes[-1] <= heard.stat().st_size
    assert (tmp_path / "speech.wav").is_file()


def test_low_latency_is_played_and_not_written(
    say: Run, heard: Path, tmp_path: Path, model_folder: Path
) -> None:
    result = say(TEXT, "--play", "--latency", "low", "--seed", "7", "--no-watermark")
    assert result.exit_code == 0, result.output
    assert "seed 7, a voice of the model's own choice" in result.stderr
    assert list(tmp_path.iterdir()) == []
    bark = Bark.load(model_folder, threads=1)
    blocks = bark.stream(TEXT, seed=7, params=PARAMS, latency="low")
    np.testing.assert_array_equal(np.fromfile(heard, "<i2"), pcm16(np.concatenate(list(blocks))))


def test_what_is_played_as_it_is_made_is_the_marked_file(say: Run, heard: Path) -> None:
    assert say(TEXT, "--play", "-o", "a.wav", "--seed", "7").exit_code == 0
    written = soundfile.read("a.wav", dtype="int16")[0]
    np.testing.assert_array_equal(np.fromfile(heard, "<i2"), written)
    assert say(TEXT, "-o", "b.wav", "--seed", "7", "--no-watermark").exit_code == 0
    assert not np.array_equal(soundfile.read("b.wav", dtype="int16")[0], written)


def test_edits_of_the_whole_are_heard_when_it_is_whole(
    say: Run, heard: Path, tmp_path: Path
) -> None:
    result = say(TEXT, "--play", "--trim", "-o", "a.wav")
    assert result.exit_code == 0, result.output
    played, written = (soundfile.read(path, dtype="int16")[0] for path in (heard, "a.wav"))
    np.testing.assert_array_equal(played, written)


def test_a_player_of_files_plays_what_is_whole(
    say: Run, heard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = heard.parent / "player"
    monkeypatch.setattr(
        playback, "PLAYERS", (Player((str(script),)), Player(("absent",), ("absent",)))
    )
    result = say(TEXT, "--play", "--latency", "low")
    assert result.exit_code == 2
    assert "nothing here can play audio while it is made (looked for absent)" in result.stderr
    assert say(TEXT, "--play").exit_code == 0
    assert soundfile.info(heard).format == "WAV"


def test_a_stream_tells_its_seed(say: Run) -> None:
    result = say("Hello.", "--stream", "-", "--seed", "5", "--voice", "en_0")
    assert "s of audio, seed 5, voice en_0, model tiny" in result.stderr
    assert say("Hello.", "--stream", "-", "-q").stderr == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--play", "--latency", "low", "-o", "a.wav"), "--latency low hands the audio on"),
        (("--play", "--latency", "low", "--format", "flac"), "leave out --format"),
        (("--play", "--latency", "low", "--retries", "1"), "retries is 1 with latency 'low'"),
        (("--play", "--latency", "low", "--trim", "--json"), "leave out --trim, --json"),
        (("--stream", "-", "--play"), "leave out --play"),
        (("--stream", "-", "--force"), "leave out --force"),
    ],
)
def test_what_needs_the_whole_is_refused(
    say: Run, heard: Path, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    result = say("Hi.", *args)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []
    assert not heard.exists()
