"""Which utterances make up a batch: pure functions of (seed, step), so that a resumed run sees the same ones.

Knows lengths and speakers, not networks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from openbark.errors import TrainingError
from openbark.training.data import Utterance


def step_rng(seed: int, step: int, rank: int = 0) -> np.random.Generator:
    """The random numbers of one step of one process."""
    return np.random.default_rng((seed, step, rank))


def corrupt(
    tokens: NDArray[np.int64], low: int, size: int, share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Replace a share of tokens by random ones of low..low+size-1: teaches a model to survive its own slips."""
    replaced = rng.random(tokens.shape) < share
    return np.where(replaced, rng.integers(low, low + size, tokens.shape), tokens)


class LengthBuckets:
    """Batches of like-length examples with about `budget` positions each, reshuffled every epoch."""

    def __init__(self, lengths: Sequence[int], budget: int, seed: int) -> None:
        if not lengths:
            raise TrainingError("no usable utterances: the data is empty or every one is too long")
        self._lengths = np.asarray(lengths)
        self._budget = budget
        self._seed = seed
        self._epochs: list[list[NDArray[np.int64]]] = []
        self._first_batch = [0]

    def batch(self, number: int) -> NDArray[np.int64]:
        """Indices of batch `number`, counted over all epochs."""
        while number >= self._first_batch[-1]:
            self._epochs.append(self._epoch(len(self._epochs)))
            self._first_batch.append(self._first_batch[-1] + len(self._epochs[-1]))
        epoch = int(np.searchsorted(self._first_batch, number, side="right")) - 1
        return self._epochs[epoch][number - self._first_batch[epoch]]

    def _epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng((self._seed, 1, epoch))
        order = np.argsort(self._lengths * rng.uniform(0.9, 1.1, len(self._lengths)))
        batches, start = [], 0
        while start < len(order):
            stop = start + 1
            while (
                stop < len(order)
                and self._lengths[order[start : stop + 1]].max() * (stop + 1 - start)
                <= self._budget
            ):
                stop += 1
            batches.append(order[start:stop])
            start = stop
        return [batches[i] for i in rng.permutation(len(batches))]


class VoicePool:
    """Utterances by speaker, to draw the voice history of an example from."""

    def __init__(self, utterances: Sequence[Utterance], share: float) -> None:
        self._share = share
        self._by_speaker: dict[str, list[Utterance]] = defaultdict(list)
        for utterance in utterances:
            self._by_speaker[utterance.speaker].append(utterance)

    def history(self, utterance: Utterance, rng: np.random.Generator) -> Utterance | None:
        """Another utterance of the same speaker, or None for the share of examples that have no voice."""
        others = self._by_speaker.get(utterance.speaker, ())
        with_voice, position = rng.random() < self._share, int(rng.integers(max(1, len(others))))
        # By identity: names are unique only within the folder they came from.
        if not with_voice or not others or others[position] is utterance:
            return None
        return others[position]
