from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.clip_checks import check_clip, summarise_checks

RATE = 24_000


def silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(round(seconds * RATE))


def tone(seconds: float, level: float = 0.1) -> NDArray[np.float64]:
    return level * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)


TEACHER = np.concatenate([silence(0.1), tone(2.0), silence(0.16)])


@pytest.mark.parametrize(
    ("clip", "problems"),
    [
        (TEACHER, ()),
        (np.concatenate([silence(0.3), tone(2.5), silence(0.5)]), ()),
        (tone(3.3), ("too long",)),
        (tone(1.1), ("too short",)),
        (np.concatenate([tone(2.0), silence(1.2)]), ("trailing silence",)),
        (np.concatenate([tone(0.9), silence(0.7), tone(0.9)]), ("voice drops out",)),
        (tone(2.0, level=0.02), ("too quiet",)),
        (np.clip(tone(2.0, level=1.5), -1.0, 1.0), ("clipped",)),
        (np.where(np.arange(len(TEACHER)) == 30_000, np.nan, TEACHER), ("not finite",)),
    ],
)
def test_each_fault_is_named_and_only_it(
    clip: NDArray[np.float64], problems: tuple[str, ...]
) -> None:
    assert check_clip(clip, RATE, TEACHER, RATE).problems == problems


def test_silence_is_short_and_quiet() -> None:
    for clip in (silence(2.0), silence(0.0)):
        found = check_clip(clip, RATE, TEACHER, RATE)
        assert {"too short", "too quiet"} <= set(found.problems)
        assert found.duration_ratio == 0.0


def test_stopping_at_a_limit_is_a_fault_of_its_own() -> None:
    found = check_clip(TEACHER, RATE, TEACHER, RATE, stopped_at_limit=True)
    assert found.problems == ("stopped at a limit",)


def test_figures_of_a_clip() -> None:
    clip = np.concatenate([silence(0.3), tone(1.0, 0.2), silence(0.5)])
    found = check_clip(clip, RATE, TEACHER, RATE)
    assert found.duration_ratio == pytest.approx(0.5, abs=0.02)
    assert found.leading_s == pytest.approx(0.3, abs=0.02)
    assert found.trailing_s == pytest.approx(0.5, abs=0.02)
    assert found.level_db == pytest.approx(6.0, abs=0.2)
    assert found.peak == pytest.approx(0.2, abs=0.001)


def test_summary_tells_run_away_from_other_faults() -> None:
    clips = [TEACHER, tone(3.3), tone(2.0, level=0.02), TEACHER]
    summary = summarise_checks([check_clip(clip, RATE, TEACHER, RATE) for clip in clips])
    assert summary["run_away_or_early_stop_rate"] == 0.25
    assert summary["bad_clip_rate"] == 0.5
    assert summary["problems"] == {"too long": 1, "too quiet": 1}
    assert summary["n_clips"] == 4
