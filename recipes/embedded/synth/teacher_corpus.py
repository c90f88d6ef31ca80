"""A corpus spoken or only labelled by the teacher, in shards that an interrupted run completes.

A shard `NNNN` is `NNNN.npz` (durations and F0 of all lines behind one another), `NNNN.opus` (all waveforms behind one
another, when there is audio) and `NNNN.jsonl` (one line's text, speaker and lengths each), which is written last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from openbark.files import write_atomically
from recipes.embedded.synth.kokoro import SAMPLE_RATE, KokoroLine, KokoroTeacher
from recipes.embedded.synth.teacher_plan import PlannedLine

_OPUS_LEVEL = 0.78  # About 60 kbit/s.


def build_teacher_corpus(
    teacher: KokoroTeacher,
    lines: Sequence[PlannedLine],
    directory: Path,
    *,
    per_shard: int = 128,
    part: tuple[int, int] = (0, 1),
    notify: Callable[[str], None],
) -> None:
    """Write every missing shard of `lines`.

    Args:
        part: (i, n): build only every n-th shard, from the i-th on, so that n processes share the work.
    """
    directory.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(lines), per_shard)
    for index in range(part[0], len(starts), part[1]):
        target = directory / f"{index:04d}.jsonl"
        if target.exists():
            continue
        planned = lines[starts[index] : starts[index] + per_shard]
        spoken = [(line, made) for line in planned if (made := teacher.line(line.text, line.mix))]
        seconds = _write_shard(directory, index, spoken)
        notify(f"shard {index} of {len(starts)}: {len(spoken)} lines, {seconds:.0f} s")


def _write_shard(
    directory: Path, index: int, spoken: Sequence[tuple[PlannedLine, KokoroLine]]
) -> float:
    rows: list[dict[str, Any]] = []
    start = 0
    for planned, made in spoken:
        samples = 0 if made.waveform is None else len(made.waveform)
        rows.append(
            {
                "text": planned.text,
                "speaker": planned.speaker,
                "mix": planned.mix,
                "phonemes": made.phonemes,
                "start": start,
                "samples": samples,
                "n_durations": len(made.durations),
                "n_f0": len(made.f0),
            }
        )
        start += samples
    stem = directory / f"{index:04d}"
    waveforms = [made.waveform for _, made in spoken if made.waveform is not None]
    if waveforms:
        partial = stem.with_name(f".{stem.name}.opus")
        audio = np.clip(np.concatenate(waveforms), -1, 1)
        soundfile.write(
            partial, audio, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=_OPUS_LEVEL
        )
        partial.rename(stem.with_suffix(".opus"))
    np.savez_compressed(
        stem.with_suffix(".npz"),
        durations=np.concatenate([made.durations for _, made in spoken]),
        f0=np.concatenate([made.f0 for _, made in spoken]),
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(stem.with_suffix(".jsonl"), text.encode())
    return sum(len(made.f0) for _, made in spoken) / 80
