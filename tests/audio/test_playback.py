"""Playing while audio is made, through players that are processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

from openbark.audio import pcm16, playback
from openbark.audio.playback import LivePlayer, Player, find_player
from openbark.errors import AudioError

RATE = 24_000

Install = Callable[[str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a shell script the only player."""

    def make(script: str) -> Path:
        path = tmp_path / "player"
        path.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        path.chmod(0o755)
        player = Player((str(path),), (str(path), "--rate={rate}"))
        monkeypatch.setattr(playback, "PLAYERS", (Player(("no-such-player",)), player))
        return tmp_path

    return make


def samples(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, n).astype(np.float32)


def test_each_block_is_heard_before_the_next_one_is_made(install: Install) -> None:
    folder = install("echo $@ > asked\nexec cat > heard")
    heard = folder / "heard"
    blocks = [samples(700, 1), samples(900, 2)]
    with LivePlayer(RATE) as player:
        player.push(np.zeros(0, np.float32))
        for n_bytes, block in zip((1400, 3200), blocks, strict=True):
            player.push(block)
            wait_until(lambda n=n_bytes: heard.exists() and heard.stat().st_size == n)
    assert (folder / "asked").read_text() == "--rate=24000\n"
    expected = pcm16(np.concatenate(blocks)).astype("<i2")
    np.testing.assert_array_equal(np.fromfile(heard, "<i2"), expected)


def test_a_player_that_fails_says_why_and_keeps_nobody_waiting(install: Install) -> None:
    install("echo 'ALSA lib: no card' >&2\necho 'no sound card' >&2\nexit 3")
    said = pytest.raises(AudioError, match="player could not play the clip: no sound card")
    with said, LivePlayer(RATE) as player:
        for number in range(3 * playback._BLOCKS_WAITING):
            player.push(samples(2000, number))


def test_a_player_that_its_user_closed_is_no_error(install: Install) -> None:
    install("head -c 100 > /dev/null")
    with LivePlayer(RATE) as player:
        for number in range(100):
            player.push(samples(2000, number))


def test_what_goes_wrong_meanwhile_stops_the_player(install: Install) -> None:
    folder = install("echo $$ > pid.new\nmv pid.new pid\nexec cat > /dev/null")
    with pytest.raises(KeyboardInterrupt), LivePlayer(RATE) as player:
        player.push(samples(10, 1))
        wait_until((folder / "pid").exists)
        raise KeyboardInterrupt
    assert not player._feeder.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


def test_nothing_to_play_starts_nothing(install: Install) -> None:
    folder = install("touch started")
    with LivePlayer(RATE):
        pass
    assert not (folder / "started").exists()


def test_players_that_are_not_there_are_named(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install("exit 0")
    assert find_player().command == find_player(live=True).command == (str(folder / "player"),)
    monkeypatch.setattr(playback, "PLAYERS", (Player(("sh",)), Player(("absent",), ("absent",))))
    assert find_player().command == ("sh",)
    with pytest.raises(
        AudioError, match=r"play audio while it is made \(looked for absent\); install"
    ):
        LivePlayer(RATE)


def test_a_player_that_cannot_be_started_is_named(install: Install) -> None:
    folder = install("")
    (folder / "player").write_bytes(b"\x7fELF")
    with pytest.raises(AudioError, match="player cannot be started"), LivePlayer(RATE) as player:
        player.push(samples(10, 1))
