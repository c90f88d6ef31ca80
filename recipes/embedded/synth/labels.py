"""Semantic tokens from timed phones and pitch: the targets the semantic stage learns.

At 50 Hz, ``id = (phone * 3 + third) * 4 + pitch_bin``: which phone, which third of it, and the
quarter of the speaker's own pitch range the phone lies in (0 if unvoiced). Knows the phone
inventory of flite's US English voices; nothing of audio files or of text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openbark.errors import TrainingError

PHONES = (
    *("pau", "aa", "ae", "ah", "ao", "aw", "ax", "ay", "b", "ch", "d", "dh", "eh", "er", "ey"),
    *("f", "g", "hh", "ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s"),
    *("sh", "t", "th", "uh", "uw", "v", "w", "y", "z", "zh"),
)
PAUSE = "pau"
N_THIRDS = 3
N_PITCH_BINS = 4
SEMANTIC_VOCAB_SIZE = len(PHONES) * N_THIRDS * N_PITCH_BINS
SEMANTIC_FRAME_RATE = 50
_PER_PHONE = N_THIRDS * N_PITCH_BINS


def phone_ids(names: Sequence[str]) -> NDArray[np.int16]:
    """The ids [P] of phone names.

    Raises:
        TrainingError: a name that is not in :data:`PHONES`.
    """
    unknown = sorted(set(names) - set(PHONES))
    if unknown:
        raise TrainingError(f"unknown phones {unknown}; the inventory is {' '.join(PHONES)}")
    return np.array([PHONES.index(name) for name in names], np.int16)


def phone_frames(end_times: ArrayLike, n_frames: int) -> NDArray[np.int64]:
    """Which phone each frame belongs to: [T] indices into the phones.

    Boundaries are rounded to frames; a phone shorter than a frame still gets one, taken from its
    neighbours, so that no phone is lost.

    Args:
        end_times: end of each phone, seconds, rising: [P].
    """
    ends = np.asarray(end_times, np.float64)
    n_phones = len(ends)
    if not 1 <= n_phones <= n_frames:
        raise TrainingError(f"{n_phones} phones do not fit into {n_frames} frames of 20 ms")
    rank = np.arange(1, n_phones + 1)
    bounds = np.round(ends * SEMANTIC_FRAME_RATE).astype(np.int64)
    # Each boundary lies at least one frame after the one before, and leaves one for each after.
    bounds = np.maximum.accumulate(bounds - rank) + rank
    bounds = np.maximum(bounds, rank)
    bounds = np.minimum(bounds, n_frames - (n_phones - rank))
    bounds[-1] = n_frames
    owner: NDArray[np.int64] = np.searchsorted(bounds, np.arange(n_frames), side="right")
    return owner


def semantic_tokens(
    phones: Sequence[str],
    end_times: ArrayLike,
    f0: ArrayLike,
    edges: ArrayLike,
    n_frames: int,
) -> NDArray[np.int16]:
    """Label each frame.

    Args:
        phones: names [P].
        end_times: seconds [P].
        f0: Hz per frame, 0 where unvoiced; the last value stands for frames beyond its end.
        edges: log-Hz bounds between the speaker's pitch bins [3]; see :func:`pitch_edges`.
        n_frames: T.

    Returns:
        int16 [T], each in 0 .. SEMANTIC_VOCAB_SIZE - 1.
    """
    ids = phone_ids(phones)
    owner = phone_frames(end_times, n_frames)
    first = np.searchsorted(owner, np.arange(len(ids)))
    length = np.bincount(owner, minlength=len(ids))
    within = np.arange(n_frames) - first[owner]
    thirds = (2 * within + 1) * N_THIRDS // (2 * length[owner])
    pitch = np.asarray(f0, np.float64)
    pitch = np.pad(pitch, (0, max(0, n_frames - len(pitch))), mode="edge")[:n_frames]
    bins = np.array([_pitch_bin(pitch[owner == p], edges) for p in range(len(ids))])
    tokens = (ids[owner].astype(np.int64) * N_THIRDS + thirds) * N_PITCH_BINS + bins[owner]
    return np.asarray(tokens, np.int16)


def pitch_edges(f0_values: ArrayLike) -> NDArray[np.float64]:
    """The quartiles [3] of a speaker's log F0, from Hz values of which zeros are left out."""
    values = np.asarray(f0_values, np.float64)
    voiced = values[values > 0]
    if len(voiced) < N_PITCH_BINS:
        raise TrainingError(f"{len(voiced)} voiced frames are too few to know a speaker's pitch")
    quantiles = np.arange(1, N_PITCH_BINS) / N_PITCH_BINS
    return np.asarray(np.quantile(np.log(voiced), quantiles), np.float64)


def phones_of(semantic_tokens: ArrayLike) -> NDArray[np.int16]:
    """The phone ids [P] a token sequence [T] spells, runs collapsed; for phone error rates.

    A repeated phone counts twice when its thirds start over.
    """
    tokens = np.asarray(semantic_tokens, np.int64)
    phones, thirds = tokens // _PER_PHONE, tokens // N_PITCH_BINS % N_THIRDS
    starts = np.ones(len(tokens), bool)
    starts[1:] = (phones[1:] != phones[:-1]) | (thirds[1:] < thirds[:-1])
    return phones[starts].astype(np.int16)


def _pitch_bin(f0: NDArray[np.float64], edges: ArrayLike) -> int:
    voiced = f0[f0 > 0]
    if 2 * len(voiced) < len(f0) or len(voiced) == 0:
        return 0
    return int(np.searchsorted(np.asarray(edges), np.log(np.median(voiced))))
