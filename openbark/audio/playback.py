"""Plays audio through whatever player the machine has."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from openbark.audio.files import write_audio
from openbark.audio.samples import Waveform
from openbark.errors import AudioError

__all__ = ["PLAYERS", "find_player", "play"]

PLAYERS: tuple[tuple[str, ...], ...] = (
    ("paplay",),
    ("aplay", "-q"),
    ("afplay",),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
)
"""Commands that play a WAV file, in order of preference."""


def find_player() -> tuple[str, ...]:
    """The first of PLAYERS that is installed. Raises AudioError naming them all when none is."""
    for player in PLAYERS:
        if shutil.which(player[0]):
            return player
    names = ", ".join(player[0] for player in PLAYERS)
    raise AudioError(
        f"nothing here can play audio (looked for {names}); install one, or play the file elsewhere"
    )


def play(waveform: Waveform, sample_rate: int) -> None:
    """Play a waveform [L] and wait for its end. Raises AudioError without a player, or when it fails."""
    player = find_player()
    with tempfile.TemporaryDirectory(prefix="openbark-") as folder:
        path = Path(folder) / "clip.wav"
        write_audio(path, waveform, sample_rate)
        done = subprocess.run([*player, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise AudioError(f"{player[0]} could not play the clip: {reason[0]}")
