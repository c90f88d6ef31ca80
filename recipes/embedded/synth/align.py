"""Which letter is being spoken: monotone alignment of letters and phones, learned by Viterbi-EM.

A table of phone probabilities per letter and the alignments it implies are estimated in turn.
Letters within bracket tags are not spoken and never aligned. Batched NumPy throughout; knows
nothing of audio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openbark.errors import TrainingError

_START, _END, _OTHER = 0, 1, 2
_FIRST_ASCII, _LAST_ASCII = 32, 126
_N_LETTERS = 3 + _LAST_ASCII - _FIRST_ASCII + 1
# Log costs of leaving a letter without a phone, and of two phones on one letter.
_SKIP_COST = 0.3
_STAY_COST = 1.0
_NEVER = -1e9
_SMOOTHING = 0.05
# Log cost of a sound on a space or a sign, and of a pause on a letter. Without it the vowels of
# "the" and "a", which stand beside a space so often, end up on the space.
_MISPLACED_COST = 8.0
# The first rounds keep alignments near the diagonal, less and less, until the table is of use.
_DIAGONAL_COSTS = (60.0, 40.0, 20.0)
_BATCH = 64

_Pair = tuple[str, NDArray[np.int16]]


@dataclass(frozen=True)
class LetterTable:
    """Score of each phone on a letter, float32 [letters, phones]: log probability less costs."""

    scores: NDArray[np.float32]


def fit_letter_table(
    pairs: Sequence[_Pair], is_silent: NDArray[np.bool_], n_iterations: int = 6
) -> LetterTable:
    """Estimate the table from texts and their phone ids [P].

    is_silent: for each phone id, whether it belongs to a space or a sign rather than to a letter.
    """
    if not pairs:
        raise TrainingError("no texts to learn the letters' sounds from; give at least one")
    misplaced = _misplaced_costs(is_silent)
    table = (-np.log(len(is_silent)) - misplaced).astype(np.float32)
    for iteration in range(n_iterations):
        cost = _DIAGONAL_COSTS[iteration] if iteration < len(_DIAGONAL_COSTS) else 0.0
        counts = np.full(table.shape, _SMOOTHING)
        for batch, letters, paths in _aligned_batches(pairs, table, cost):
            for (_, phones), codes, path in zip(batch, letters, paths, strict=True):
                np.add.at(counts, (codes[path], phones), 1)
        log_probs = np.log(counts / counts.sum(axis=1, keepdims=True))
        table = (log_probs - misplaced).astype(np.float32)
    return LetterTable(table)


def align_letters(table: LetterTable, pairs: Sequence[_Pair]) -> list[NDArray[np.int16]]:
    """For each text and its phones [P]: the index [P] into the text of each phone's letter.

    -1 stands for the pauses before the first and after the last letter.
    """
    result: list[NDArray[np.int16]] = []
    for batch, _, paths in _aligned_batches(pairs, table.scores, 0.0):
        for (text, _), path in zip(batch, paths, strict=True):
            positions = np.array([-1, *spoken_positions(text), -1], np.int16)
            result.append(positions[path])
    return result


def spoken_positions(text: str) -> tuple[int, ...]:
    """Indices of the characters outside bracket tags."""
    positions: list[int] = []
    depth = 0
    for index, character in enumerate(text):
        depth += character == "["
        if depth == 0:
            positions.append(index)
        depth -= character == "]" and depth > 0
    return tuple(positions)


def _letter_codes(text: str) -> NDArray[np.int64]:
    codes = [_START]
    for index in spoken_positions(text):
        code = ord(text[index].lower()[0])
        known = _FIRST_ASCII <= code <= _LAST_ASCII
        codes.append(3 + code - _FIRST_ASCII if known else _OTHER)
    return np.array([*codes, _END], np.int64)


def _misplaced_costs(is_silent: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Cost [letters, phones] of sounds on signs and of silence on letters."""
    is_letter = np.zeros(_N_LETTERS, bool)
    is_letter[_OTHER] = True
    for code in range(_FIRST_ASCII, _LAST_ASCII + 1):
        is_letter[3 + code - _FIRST_ASCII] = chr(code).isalnum()
    return np.where(is_letter[:, None] == is_silent[None], _MISPLACED_COST, 0).astype(np.float32)


def _aligned_batches(
    pairs: Sequence[_Pair], table: NDArray[np.float32], diagonal_cost: float
) -> Iterator[tuple[Sequence[_Pair], list[NDArray[np.int64]], list[NDArray[np.int64]]]]:
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        letters = [_letter_codes(text) for text, _ in batch]
        phones = [np.asarray(ids, np.int64) for _, ids in batch]
        yield batch, letters, _best_paths(letters, phones, table, diagonal_cost)


def _best_paths(
    letters: list[NDArray[np.int64]],
    phones: list[NDArray[np.int64]],
    table: NDArray[np.float32],
    diagonal_cost: float,
) -> list[NDArray[np.int64]]:
    """Viterbi over a padded batch: the letter position [P] of each phone, per text."""
    score = _emissions(letters, phones, table, diagonal_cost)
    n_phones = np.array([len(p) for p in phones])
    n_texts, longest, n_letters = score.shape
    position = np.arange(n_letters, dtype=np.float32)
    best = score[:, 0] - _SKIP_COST * position
    came_from = np.zeros((longest, n_texts, n_letters), np.int32)
    for step in range(1, longest):
        # Moving from letter k to i costs the skipped i - k - 1 letters, so the running maximum
        # of (best + cost * k) finds the best k for every i at once.
        raised = best + _SKIP_COST * position
        highest = np.maximum.accumulate(raised, axis=1)
        where = np.where(raised >= highest, position, 0).astype(np.int32)
        where = np.maximum.accumulate(where, axis=1)
        moved = np.full_like(best, _NEVER)
        moved[:, 1:] = highest[:, :-1] - _SKIP_COST * (position[1:] - 1)
        stayed = best - _STAY_COST
        moves = moved >= stayed
        source = np.broadcast_to(position, best.shape).astype(np.int32)
        source[:, 1:] = np.where(moves[:, 1:], where[:, :-1], source[:, 1:])
        came_from[step] = source
        running = (step < n_phones)[:, None]
        best = np.where(running, np.maximum(moved, stayed) + score[:, step], best)
    lengths = np.array([len(codes) for codes in letters], np.float32)[:, None]
    at = (best - _SKIP_COST * (lengths - 1 - position)).argmax(axis=1)
    paths = np.zeros((longest, n_texts), np.int64)
    rows = np.arange(n_texts)
    for step in range(longest - 1, -1, -1):
        paths[step] = at
        if step > 0:
            at = np.where(step < n_phones, came_from[step, rows, at], at)
    return [paths[:count, row] for row, count in enumerate(n_phones)]


def _emissions(
    letters: list[NDArray[np.int64]],
    phones: list[NDArray[np.int64]],
    table: NDArray[np.float32],
    diagonal_cost: float,
) -> NDArray[np.float32]:
    """Log score of phone m on letter n: [B, M, N], padding out of reach."""
    shape = (len(letters), max(map(len, phones)), max(map(len, letters)))
    score = np.full(shape, _NEVER, np.float32)
    for row, (codes, ids) in enumerate(zip(letters, phones, strict=True)):
        block = table[codes][:, ids].T
        if diagonal_cost:
            across = np.arange(len(codes)) / len(codes)
            down = np.arange(len(ids)) / len(ids)
            far = diagonal_cost * (across[None] - down[:, None]) ** 2
            block = block - far.astype(np.float32)
        score[row, : len(ids), : len(codes)] = block
    return score
