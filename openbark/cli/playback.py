"""Plays a clip through whatever player the machine has."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from openbark.errors import AudioError
from openbark.result import Clip

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
    raise AudioError(f"nothing here can play audio (looked for {names}); leave out --play")


def play(clip: Clip, player: tuple[str, ...]) -> None:
    """Play a clip and wait for its end. Raises AudioError when the player fails."""
    with tempfile.TemporaryDirectory(prefix="openbark-") as folder:
        path = Path(folder) / "clip.wav"
        clip.save(path)
        done = subprocess.run([*player, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise AudioError(f"{player[0]} could not play the clip: {reason[0]}")
