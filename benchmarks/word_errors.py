"""Word error rate: edit distance, pooled rate over clips, bootstrap interval over clips.

Plain arithmetic on word lists; knows nothing of audio or of the recogniser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Score", "bootstrap_interval", "edit_distance", "pooled_rate"]


@dataclass(frozen=True)
class Score:
    """Errors against a reference of `n_words` words; one clip."""

    errors: int
    n_words: int


def edit_distance(
    reference: Sequence[str],
    heard: Sequence[str],
    same: Callable[[str, str], bool] = str.__eq__,
) -> int:
    """Fewest insertions, deletions and substitutions that turn `reference` into `heard`.

    Args:
        same: which words count as equal; by default only identical ones.
    """
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            cost = min(row[j] + 1, row[j - 1] + 1, diagonal + (not same(expected, word)))
            diagonal, row[j] = row[j], cost
    return row[-1]


def pooled_rate(scores: Sequence[Score]) -> float:
    """All errors over all reference words; NaN without words."""
    words = sum(score.n_words for score in scores)
    return sum(score.errors for score in scores) / words if words else float("nan")


def bootstrap_interval(
    groups: Sequence[Sequence[Score]], *, level: float = 0.95, n_draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the pooled rate when groups are drawn with replacement.

    A group holds the clips of one sentence (all voices), because their errors go together.
    """
    if not groups:
        return float("nan"), float("nan")
    errors = np.array([sum(score.errors for score in group) for group in groups], dtype=np.float64)
    words = np.array([sum(score.n_words for score in group) for group in groups], dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(groups), (n_draws, len(groups)))
    rates = errors[picks].sum(axis=1) / words[picks].sum(axis=1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(rates, (tail, 1.0 - tail))
    return float(low), float(high)
