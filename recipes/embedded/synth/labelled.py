"""Read a labelled corpus: shards of JSON lines beside durations, pitch and (where there is sound) Opus audio.

`teacher_corpus` writes this form. Knows nothing of tokens or networks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from openbark.errors import TrainingError
from recipes.embedded.synth.kokoro import F0_RATE

# The teacher writes small values where there is no voice.
_LOWEST_VOICED_HZ = 40.0


@dataclass(frozen=True)
class LabelledLine:
    """One spoken text with its phoneme lengths and pitch.

    Attributes:
        phonemes: P characters; durations: [P + 2] frames of 25 ms, edges included.
        f0: Hz at 80 values a second, 40 and less unvoiced.
        waveform: int16 at 24 kHz, or None for a line that was only labelled.
    """

    text: str
    speaker: str
    phonemes: str
    durations: NDArray[np.uint8]
    f0: NDArray[np.float32]
    waveform: NDArray[np.int16] | None


def read_labelled(directory: Path) -> Iterator[LabelledLine]:
    """Every line of every complete shard, in order.

    Raises:
        TrainingError: no shard, or one whose arrays do not fit its lines.
    """
    paths = sorted(directory.glob("[0-9]*.jsonl"))
    if not paths:
        raise TrainingError(f"{directory} has no shards (0000.jsonl ...); build the corpus first")
    for path in paths:
        yield from _shard(path)


def _shard(path: Path) -> Iterator[LabelledLine]:
    arrays = np.load(path.with_suffix(".npz"))
    durations, f0 = arrays["durations"], arrays["f0"].astype(np.float32)
    audio_path = path.with_suffix(".opus")
    audio = soundfile.read(audio_path, dtype="int16")[0] if audio_path.exists() else None
    first_duration = first_f0 = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        last_duration, last_f0 = first_duration + row["n_durations"], first_f0 + row["n_f0"]
        if last_duration > len(durations) or last_f0 > len(f0):
            raise TrainingError(f"{path}: the arrays end before line {row['text']!r}")
        waveform = None
        if audio is not None:
            waveform = audio[row["start"] : row["start"] + row["samples"]]
        yield LabelledLine(
            row["text"],
            row["speaker"],
            row["phonemes"],
            durations[first_duration:last_duration],
            f0[first_f0:last_f0],
            waveform,
        )
        first_duration, first_f0 = last_duration, last_f0


def resampled_f0(f0: NDArray[np.float32], n_frames: int, rate: float) -> NDArray[np.float32]:
    """F0 at the centres of `n_frames` frames of 1/rate s: Hz, 0 where unvoiced."""
    position = (np.arange(n_frames) + 0.5) * F0_RATE / rate - 0.5
    is_voiced = f0 > _LOWEST_VOICED_HZ
    if not is_voiced.any():
        return np.zeros(n_frames, np.float32)
    where = np.arange(len(f0))
    voiced = np.interp(position, where, is_voiced.astype(np.float32)) > 0.5
    # Over voiced values only: a mean with an unvoiced neighbour would be no pitch at all.
    pitch = np.interp(position, where[is_voiced], f0[is_voiced])
    return np.where(voiced, pitch, 0.0).astype(np.float32)
