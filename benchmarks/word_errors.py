"""Word error rate: edit distance, pooled rate over clips, bootstrap intervals over sentences.

Plain arithmetic on word lists; knows nothing of audio or of the recogniser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Score", "bootstrap_difference", "bootstrap_interval", "edit_distance", "pooled_rate"]

Groups = Sequence[Sequence["Score"]]


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


def bootstrap_interval(groups: Groups, *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the pooled rate when groups are drawn with replacement.

    A group holds the clips of one sentence (all voices), because their errors go together.
    """
    return _interval(_drawn_rates(groups, seed))


def bootstrap_difference(first: Groups, second: Groups, *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the rate of `first` less that of `second`, the same sentences drawn in both."""
    return _interval(_drawn_rates(first, seed) - _drawn_rates(second, seed))


def _drawn_rates(groups: Groups, seed: int, n_draws: int = 2000) -> npt.NDArray[np.float64]:
    errors = np.array([sum(score.errors for score in group) for group in groups], dtype=np.float64)
    words = np.array([sum(score.n_words for score in group) for group in groups], dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(groups), (n_draws, len(groups)))
    rates: npt.NDArray[np.float64] = errors[picks].sum(axis=1) / words[picks].sum(axis=1)
    return rates


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
