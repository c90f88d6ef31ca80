"""A loaded Bark that speaks the lines of a shard: many at once, each as if it were alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openbark.api import Bark
from openbark.batch.jobs import Line
from openbark.batch.shard import Sound
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.find import find_checkpoint, tell
from openbark.checkpoints.fingerprint import fingerprint
from openbark.engine.engine import Engine
from openbark.engine.handle import Handle
from openbark.result import Clip
from openbark.speech.options import SpeechOptions


@dataclass(frozen=True)
class BarkMaker:
    """What `Bark.load` is given in every worker. rows: lines computed together."""

    model: str | None = None
    device: str | None = None
    dtype: str | None = "float32"
    backend: str | None = None
    threads: int | None = None
    rows: int = 8

    def open(self) -> BarkLines:
        """Load the model here."""
        bark = Bark.load(self.model, self.device, self.dtype, self.threads, self.backend)
        return BarkLines(bark, self.rows)

    def fingerprint(self) -> dict[str, Any]:
        """What decides the sound, by name, without loading the weights."""
        checkpoint = ready_checkpoint(open_checkpoint(find_checkpoint(self.model)), tell)
        return {
            "weights": fingerprint(checkpoint),
            "model": checkpoint.config.name,
            "sampling": repr(checkpoint.defaults),
            "text rules": repr(checkpoint.config.text_normalizer),
            "dtype": self.dtype,
            "backend": self.backend,
            "device": (self.device or "cpu").partition(":")[0],
            "rows": self.rows,
        }


class BarkLines:
    """As `shard.LineSpeaker`."""

    def __init__(self, bark: Bark, rows: int) -> None:
        self._bark = bark
        self._rows = rows

    def speak(self, lines: Sequence[tuple[Line, int]]) -> list[Sound | Exception]:
        """Lines that fit one request run together, longer ones in pieces after them."""
        found: list[Sound | Exception | None] = [None] * len(lines)
        with Engine(
            self._bark.backend,
            max_batch=self._rows,
            max_queued=max(1, len(lines)),
            max_queued_seconds=math.inf,
        ) as engine:
            handles: list[tuple[int, Handle]] = []
            for index, (line, seed) in enumerate(lines):
                try:
                    params = self._bark.default_params.with_named(line.params)
                    how = SpeechOptions(voice=line.voice, seed=seed, params=params)
                    request = self._bark.job(line.text, how).request
                    if request is not None:
                        handles.append((index, engine.submit(request)))
                except Exception as error:
                    found[index] = error
            for index, handle in handles:
                try:
                    result = handle.result()
                    found[index] = Sound(
                        result.waveform, self._bark.sample_rate, str(result.stop_reason)
                    )
                except Exception as error:
                    found[index] = error
        return [
            each if each is not None else self._alone(*lines[index])
            for index, each in enumerate(found)
        ]

    def speak_alone(self, line: Line, seed: int) -> Sound:
        """By itself, on the calling thread."""
        params = self._bark.default_params.with_named(line.params)
        return _sound(self._bark.generate(line.text, line.voice, seed, params))

    def _alone(self, line: Line, seed: int) -> Sound | Exception:
        try:
            return self.speak_alone(line, seed)
        except Exception as error:
            return error


def _sound(clip: Clip) -> Sound:
    return Sound(clip.waveform, clip.sample_rate, str(clip.stop_reason))
