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


_MOST_JOINED = 12
"""Utterances drawn for one history at most: enough for three seconds of short ones."""


class VoicePool:
    """Utterances by speaker, to draw the voice history of an example from."""

    def __init__(
        self, utterances: Sequence[Utterance], share: float, least_tokens: int = 0
    ) -> None:
        """share: of examples with a history. least_tokens: semantic tokens a history has at least; shorter
        utterances are joined. A history that always fills its window leaves every position its meaning."""
        self._share = share
        self._least = least_tokens
        self._by_speaker: dict[str, list[Utterance]] = defaultdict(list)
        for utterance in utterances:
            self._by_speaker[utterance.speaker].append(utterance)

    def history(self, utterance: Utterance, rng: np.random.Generator) -> Utterance | None:
        """Another utterance of the same speaker, or several joined. None for the share of examples that have no voice,
        and where the speaker has too little else."""
        others = self._by_speaker.get(utterance.speaker, ())
        if not others or rng.random() >= self._share:
            return None
        joined: list[Utterance] = []
        for position in rng.integers(len(others), size=_MOST_JOINED if self._least else 1):
            # By identity: names are unique only within the folder they came from.
            if others[position] is not utterance:
                joined.append(others[position])
                if sum(map(_n_tokens, joined)) >= self._least:
                    return _join(joined)
        return None


def _n_tokens(utterance: Utterance) -> int:
    return 0 if utterance.semantic is None else len(utterance.semantic)


def _join(utterances: Sequence[Utterance]) -> Utterance:
    """One utterance of the tokens of several, in their order; the other arrays are those of none."""
    first = utterances[0]
    if len(utterances) == 1:
        return first
    semantic = [u.semantic for u in utterances if u.semantic is not None]
    codes = [u.codes for u in utterances if u.codes is not None]
    return Utterance(
        key=first.key,
        text=" ".join(u.text for u in utterances),
        speaker=first.speaker,
        semantic=np.concatenate(semantic) if semantic else None,
        codes=np.concatenate(codes, axis=1) if codes else None,
    )
