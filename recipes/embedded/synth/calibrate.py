"""Measure what labelling needs beforehand: each speaker's loudness and pitch, the letters' sounds.

Speaks some lines of the plan for it and stores the result, so that a resumed build labels alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openbark.files import write_atomically
from recipes.embedded.synth.align import LetterTable, fit_letter_table
from recipes.embedded.synth.labels import PAUSE, PHONES, phone_ids, pitch_edges
from recipes.embedded.synth.parallel import Workers
from recipes.embedded.synth.pitch import fundamental_frequency
from recipes.embedded.synth.speak import FLITE_VOICES, SAMPLE_RATE, speak_flite
from recipes.embedded.synth.utterances import (
    TARGET_LOUDNESS,
    Calibration,
    Line,
    SpeakerLevel,
    loudness,
    speech_of,
)

_LINES_PER_SPEAKER = 48
_LINES_FOR_LETTERS = 1200
# All flite voices share one lexicon; the diphone voice speaks ten times faster than the others.
_LETTER_VOICE = FLITE_VOICES[-1]


def calibrate(plan: Mapping[str, Sequence[Line]], path: Path, workers: Workers) -> Calibration:
    """Measure, or read back from `path` what an earlier run measured."""
    if not path.exists():
        levels = _measure_levels(plan, workers)
        letters = _fit_letters(plan["train"][:_LINES_FOR_LETTERS], workers)
        _store(path, levels, letters)
    return _load(path)


def _measure_levels(
    plan: Mapping[str, Sequence[Line]], workers: Workers
) -> dict[str, SpeakerLevel]:
    by_speaker: dict[str, list[Line]] = {}
    for split in ("train", "codec_only", "valid", "test"):
        for line in plan[split]:
            lines = by_speaker.setdefault(line.speaker, [])
            if len(lines) < _LINES_PER_SPEAKER:
                lines.append(line)
    jobs = [line for lines in by_speaker.values() for line in lines]
    measured: dict[str, list[tuple[float, NDArray[np.float32]]]] = {}
    for line, result in zip(jobs, workers.map(_measure, jobs), strict=True):
        measured.setdefault(line.speaker, []).append(result)
    levels: dict[str, SpeakerLevel] = {}
    for speaker, results in measured.items():
        rms = float(np.median([value for value, _ in results]))
        edges = pitch_edges(np.concatenate([f0 for _, f0 in results]))
        levels[speaker] = SpeakerLevel(TARGET_LOUDNESS / rms, tuple(edges.tolist()))
    return levels


def _measure(line: Line) -> tuple[float, NDArray[np.float32]]:
    waveform = speech_of(line).waveform
    return loudness(waveform), fundamental_frequency(waveform, SAMPLE_RATE)


def _fit_letters(lines: Sequence[Line], workers: Workers) -> LetterTable:
    phones = workers.map(_phones, lines)
    pairs = [(line.text, ids) for line, ids in zip(lines, phones, strict=True)]
    return fit_letter_table(pairs, np.array([name == PAUSE for name in PHONES]))


def _phones(line: Line) -> NDArray[np.int16]:
    return phone_ids(speak_flite(line.spoken, _LETTER_VOICE).phones)


def _store(path: Path, levels: Mapping[str, SpeakerLevel], letters: LetterTable) -> None:
    content = {
        "levels": {
            name: {"gain": level.gain, "pitch_edges": level.pitch_edges}
            for name, level in levels.items()
        },
        "letters": letters.scores.round(4).tolist(),
    }
    write_atomically(path, (json.dumps(content) + "\n").encode())


def _load(path: Path) -> Calibration:
    content = json.loads(path.read_text(encoding="utf-8"))
    levels = {
        name: SpeakerLevel(level["gain"], tuple(level["pitch_edges"]))
        for name, level in content["levels"].items()
    }
    return Calibration(levels, LetterTable(np.array(content["letters"], np.float32)))
