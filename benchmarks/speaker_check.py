"""Speaker similarity of many clips: the matrix of presets against voices, and who is recognised.

Fits `SpeakerMeasure` on the teacher's training sentences; clips to judge are others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.speaker_similarity import SpeakerMeasure, speaker_statistics
from benchmarks.systems import Spoken
from openbark.errors import AudioError

__all__ = ["MEASURE", "fit_measure", "similarity_matrix"]

MEASURE = "MFCC + log-pitch statistics of voiced frames, WCCN, cosine"


def fit_measure(clips: Mapping[str, Sequence[Spoken]]) -> SpeakerMeasure:
    """Fit on the teacher's clips of each preset."""
    return SpeakerMeasure.fit(
        {
            preset: [speaker_statistics(clip.waveform, clip.sample_rate) for clip in row]
            for preset, row in clips.items()
        }
    )


def similarity_matrix(
    measure: SpeakerMeasure, clips: Mapping[str, Sequence[Spoken]]
) -> dict[str, Any]:
    """Mean cosine of the clips of each preset to each reference voice.

    A clip without a voice counts as similarity 0 to all, and as not recognised.

    Returns:
        "matrix" preset -> reference -> mean; "own" and "best_other", means over presets;
        "identified", the share of clips closest to their own; "own_is_best", whether every row
        has its mean largest at its own; "voiceless", how many clips had no voice.
    """
    matrix: dict[str, dict[str, float]] = {}
    hits, voiceless, n_clips = 0, 0, 0
    for preset, row in clips.items():
        rows: list[dict[str, float]] = []
        for clip in row:
            n_clips += 1
            try:
                found = measure.similarity(speaker_statistics(clip.waveform, clip.sample_rate))
                hits += max(found, key=found.__getitem__) == preset
            except AudioError:
                voiceless += 1
                found = dict.fromkeys(measure.references, 0.0)
            rows.append(found)
        matrix[preset] = {
            name: float(np.mean([found[name] for found in rows])) for name in measure.references
        }
    others = {
        preset: max((v for name, v in row.items() if name != preset), default=float("nan"))
        for preset, row in matrix.items()
    }
    return {
        "matrix": matrix,
        "own": float(np.mean([row[preset] for preset, row in matrix.items()])),
        "best_other": float(np.mean(list(others.values()))),
        "identified": hits / n_clips,
        "own_is_best": all(row[preset] > others[preset] for preset, row in matrix.items()),
        "voiceless": voiceless,
    }
