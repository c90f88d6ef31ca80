"""Plays audio through whatever player the machine has: a clip that is done, or samples while more of them are made.

Knows no engine; how much is held back before playing begins is `openbark.audio.playback_buffer`.
"""

from __future__ import annotations

import queue
import shutil
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from openbark.audio.files import write_audio
from openbark.audio.samples import pcm16
from openbark.errors import AudioError
from openbark.types import Waveform

_BLOCKS_WAITING = 64
"""Blocks that wait for the player: a producer faster than playback waits too."""


@dataclass(frozen=True, slots=True)
class Player:
    """A command that plays a WAV file. from_stdin: the command that plays mono PCM of 16 bits, little-endian, from its
    standard input, with {rate} in the place of the sample rate; None where it takes files only."""

    command: tuple[str, ...]
    from_stdin: tuple[str, ...] | None = None


PLAYERS: tuple[Player, ...] = (
    Player(("paplay",), ("paplay", "--raw", "--format=s16le", "--channels=1", "--rate={rate}")),
    Player(
        ("aplay", "-q"), ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "{rate}")
    ),
    Player(("afplay",)),
    Player(
        ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
        (
            *("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
            *("-f", "s16le", "-ar", "{rate}", "-i", "pipe:0"),
        ),
    ),
)
"""What can play here, in order of preference."""


def find_player(live: bool = False) -> Player:
    """The first of PLAYERS that is installed; with `live` the first that plays while audio is made. Raises AudioError
    naming them when none is."""
    able = [player for player in PLAYERS if player.from_stdin or not live]
    for player in able:
        if shutil.which(player.command[0]):
            return player
    names = ", ".join(player.command[0] for player in able)
    what = "play audio while it is made" if live else "play audio"
    raise AudioError(
        f"nothing here can {what} (looked for {names}); install one, or play the file elsewhere"
    )


def play(waveform: Waveform, sample_rate: int) -> None:
    """Play a waveform [L] and wait for its end. Raises AudioError without a player, or when it fails."""
    player = find_player()
    with tempfile.TemporaryDirectory(prefix="openbark-") as folder:
        path = Path(folder) / "clip.wav"
        write_audio(path, waveform, sample_rate)
        done = subprocess.run(
            [*player.command, str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise _failed(player.command[0], done.stderr, done.returncode)


class LivePlayer:
    """A player that is fed block by block. The process is there from the first samples on.

    Leaving a `with` block waits for the end of the playback, or stops it where the block ends with an exception.
    """

    def __init__(self, sample_rate: int) -> None:
        """Raises AudioError where no player can do this."""
        command = find_player(live=True).from_stdin or ()
        self._command = [part.format(rate=sample_rate) for part in command]
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_BLOCKS_WAITING)
        self._feeder = threading.Thread(target=self._feed, name="openbark-player", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._opened = ExitStack()
        self._errors: IO[bytes] | None = None

    def push(self, samples: Waveform) -> None:
        """Play samples [L] after those before. Raises AudioError for samples that are no waveform, or when the player
        cannot be started."""
        if len(samples) == 0:
            return
        data = pcm16(samples).astype("<i2").tobytes()
        if self._process is None:
            self._start()
        self._waiting.put(data)

    def finish(self) -> None:
        """Wait until everything was heard. Raises AudioError when the player failed."""
        if self._process is None:
            return
        self._waiting.put(None)
        self._feeder.join()
        code = self._process.wait()
        if code:
            raise _failed(self._command[0], self._said(), code)

    def stop(self) -> None:
        """End the playback at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._feeder.is_alive():
                self._waiting.put(None)
                self._feeder.join()

    def __enter__(self) -> LivePlayer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish after a block without an error, stop after one with an error."""
        try:
            if error is None:
                self.finish()
        finally:
            self.stop()
            self._opened.close()

    def _start(self) -> None:
        # A full pipe would block a player that writes a lot to stderr.
        self._errors = self._opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by the stack
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
            )
        except OSError as error:
            raise AudioError(f"{self._command[0]} cannot be started: {error.strerror}") from error
        self._feeder.start()

    def _feed(self) -> None:
        """Hand blocks to the process; one that has ended, or was closed by its user, gets no more of them."""
        process = self._process
        if process is None or process.stdin is None:
            return
        is_open = True
        while (data := self._waiting.get()) is not None:
            if is_open:
                try:
                    process.stdin.write(data)
                    process.stdin.flush()
                except OSError:
                    is_open = False
        with suppress(OSError):
            process.stdin.close()

    def _said(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")


def _failed(name: str, said: str, code: int) -> AudioError:
    reason = said.strip().splitlines()[-1:] or [f"exit code {code}"]
    return AudioError(f"{name} could not play the clip: {reason[0]}")
