"""What can be wrong with a clip without understanding it: length, silence, level, clipping.

Compares a clip with the teacher's clip of the same text. Knows nothing of words or speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.waveforms import decibels, rms_envelope

__all__ = ["ClipCheck", "check_clip", "summarise_checks"]

LONGEST_RATIO, SHORTEST_RATIO = 1.6, 0.6
LONGEST_TRAILING_S = 1.0
LONGEST_GAP_OVER_TEACHER_S = 0.5
QUIETEST_DB = -12.0
CLIPPED_LEVEL = 0.999
CLIPPED_SHARE = 1e-3
_HOP_S = 0.01
_SILENT_BELOW_PEAK_DB = 40.0


@dataclass(frozen=True)
class ClipCheck:
    """Figures of one clip; `problems` names the rules it breaks.

    Attributes:
        duration_s: length of the clip.
        duration_ratio: voiced-to-voiced length of the clip over the teacher's.
        leading_s, trailing_s, gap_s: silence before, after, and the longest within (seconds).
        level_db: loudness against the teacher's.
        peak: largest absolute sample.
        clipped_share: part of the samples at full scale.
    """

    duration_s: float
    duration_ratio: float
    leading_s: float
    trailing_s: float
    gap_s: float
    level_db: float
    peak: float
    clipped_share: float
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Silence:
    leading_s: float
    trailing_s: float
    gap_s: float
    sound_s: float
    level: float


def check_clip(
    waveform: npt.NDArray[np.floating],
    sample_rate: int,
    teacher: npt.NDArray[np.floating],
    teacher_rate: int,
    *,
    stopped_at_limit: bool = False,
) -> ClipCheck:
    """Compare a clip ``[L]`` with the teacher's clip of the same text."""
    signal = np.asarray(waveform, dtype=np.float64)
    is_finite = bool(np.isfinite(signal).all())
    signal = np.where(np.isfinite(signal), signal, 0.0)
    own, wanted = _silence(signal, sample_rate), _silence(teacher, teacher_rate)
    peak = float(np.abs(signal).max(initial=0.0))
    ratio = own.sound_s / max(wanted.sound_s, _HOP_S)
    level_db = float(decibels(own.level) - decibels(wanted.level))
    clipped = float((np.abs(signal) >= CLIPPED_LEVEL).mean()) if len(signal) else 0.0
    rules = {
        "not finite": not is_finite,
        "too long": ratio > LONGEST_RATIO,
        "too short": ratio < SHORTEST_RATIO,
        "stopped at a limit": stopped_at_limit,
        "trailing silence": own.trailing_s > LONGEST_TRAILING_S,
        "voice drops out": own.gap_s > wanted.gap_s + LONGEST_GAP_OVER_TEACHER_S,
        "too quiet": level_db < QUIETEST_DB,
        "clipped": clipped > CLIPPED_SHARE,
    }
    return ClipCheck(
        duration_s=len(signal) / sample_rate,
        duration_ratio=ratio,
        leading_s=own.leading_s,
        trailing_s=own.trailing_s,
        gap_s=own.gap_s,
        level_db=level_db,
        peak=peak,
        clipped_share=clipped,
        problems=tuple(name for name, is_broken in rules.items() if is_broken),
    )


RUN_AWAY = frozenset({"too long", "too short", "stopped at a limit", "trailing silence"})


def summarise_checks(checks: Sequence[ClipCheck]) -> dict[str, Any]:
    """Means, extremes and counts over clips; what the JSON and the card show."""
    figures = {
        name: np.array([getattr(check, name) for check in checks])
        for name in ("duration_ratio", "leading_s", "trailing_s", "gap_s", "level_db", "peak")
    }
    counts: dict[str, int] = {}
    for check in checks:
        for problem in check.problems:
            counts[problem] = counts.get(problem, 0) + 1
    n_run_away = sum(not RUN_AWAY.isdisjoint(check.problems) for check in checks)
    return {
        "n_clips": len(checks),
        "duration_ratio_mean": float(figures["duration_ratio"].mean()),
        "duration_ratio_sd": float(figures["duration_ratio"].std()),
        "leading_s_mean": float(figures["leading_s"].mean()),
        "trailing_s_mean": float(figures["trailing_s"].mean()),
        "longest_gap_s": float(figures["gap_s"].max()),
        "level_db_mean": float(figures["level_db"].mean()),
        "level_db_lowest": float(figures["level_db"].min()),
        "peak_highest": float(figures["peak"].max()),
        "clipped_share_highest": max(check.clipped_share for check in checks),
        "run_away_or_early_stop_rate": n_run_away / len(checks),
        "bad_clip_rate": sum(bool(check.problems) for check in checks) / len(checks),
        "problems": dict(sorted(counts.items())),
    }


def _silence(waveform: npt.NDArray[np.floating], sample_rate: int) -> _Silence:
    levels = rms_envelope(waveform, sample_rate, _HOP_S)
    loud_db = decibels(levels)
    sounding = np.nonzero((loud_db > loud_db.max() - _SILENT_BELOW_PEAK_DB) & (loud_db > -60.0))[0]
    if len(sounding) == 0:
        total = len(levels) * _HOP_S
        return _Silence(total, total, total, 0.0, 0.0)
    gaps = np.diff(sounding) - 1
    level = float(np.sqrt((levels[sounding] ** 2).mean()))
    return _Silence(
        leading_s=float(sounding[0]) * _HOP_S,
        trailing_s=float(len(levels) - 1 - sounding[-1]) * _HOP_S,
        gap_s=float(gaps.max(initial=0)) * _HOP_S,
        sound_s=float(sounding[-1] - sounding[0] + 1) * _HOP_S,
        level=level,
    )
