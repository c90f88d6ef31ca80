"""A voice without a model: sound that depends on text and seed alone, with faults to order, in any process."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openbark.batch.jobs import Line
from openbark.batch.local import run_local
from openbark.batch.run import BatchOptions, run_batch
from openbark.batch.shard import Sound
from openbark.errors import DeviceError, OpenBarkError, VoiceError

RATE = 24_000


@dataclass(frozen=True)
class FakeMaker:
    """delay: seconds of work for each line. log: a file that counts every line spoken, in all processes."""

    delay: float = 0.0
    log: str | None = None

    def open(self) -> FakeLines:
        return FakeLines(self)


class FakeLines:
    def __init__(self, maker: FakeMaker) -> None:
        self._maker = maker

    def speak(self, lines: Sequence[tuple[Line, int]]) -> list[Sound | Exception]:
        found: list[Sound | Exception] = []
        for line, seed in lines:
            try:
                found.append(self._speak(line, seed))
            except Exception as error:
                found.append(error)
        return found

    def speak_alone(self, line: Line, seed: int) -> Sound:
        if "never" in line.text:
            raise DeviceError("the fake cannot say that")
        return self._speak(line, seed, alone=True)

    def _speak(self, line: Line, seed: int, alone: bool = False) -> Sound:
        time.sleep(self._maker.delay)
        if self._maker.log is not None:
            with Path(self._maker.log).open("a", encoding="utf-8") as log:
                log.write(f"{line.id}\n")
        if line.voice == "nobody":
            raise VoiceError("there is no voice 'nobody'")
        if ("alone" in line.text and not alone) or "never" in line.text:
            raise DeviceError("the fake cannot say that among others")
        digest = hashlib.sha256(f"{seed}:{line.text}:{line.voice}".encode()).digest()
        generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        waveform = generator.uniform(-0.5, 0.5, 600).astype(np.float32)
        return Sound(waveform, RATE, "eos")


MODEL = {"weights": "fake", "dtype": "float32"}


def main(jobs: str, output: str, delay: str, log: str) -> int:
    """One run as a program, which tests kill."""
    options = BatchOptions(shard_lines=8, n_workers=2, resume=Path(output, "job.json").exists())
    maker = FakeMaker(float(delay), log)
    try:
        run_batch([jobs], Path(output), options, maker, MODEL, run_local, lambda line: None)
    except (OpenBarkError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
