"""The pattern of the watermark: frequency bands, time slots, and the signs that a key gives to each cell.

A cell is one band in one slot of 40 ms. The signs repeat every 64 slots (2.56 s). A third of the cells carries a
fixed pattern that detection looks for; the others carry the bits of the payload.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openbark.errors import ParamError

KEY_VARIABLE = "OPENBARK_WATERMARK_KEY"
DEFAULT_KEY = "openbark-1"
"""Public: with it anyone can detect the mark. Operators set a key of their own in KEY_VARIABLE."""

RATE = 24_000
"""Hz at which a recording is searched; the pattern itself is in seconds and holds at any rate."""
SLOT_SECONDS = 0.04
N_SLOTS = 64
N_BANDS = 24
N_CODED = 92
"""Bits of the coded payload; see `payload`."""
_LOW_HZ, _HIGH_HZ = 300.0, 5500.0
_SYNC_SHARE = 3
_DIGEST_BITS = 256


@dataclass(frozen=True, eq=False)
class Pattern:
    """signs: -1 or 1 for each cell [N_SLOTS, N_BANDS]; bits: which bit of the coded payload a cell carries, -1 for
    a cell of the fixed pattern."""

    signs: NDArray[np.int8]
    bits: NDArray[np.int16]

    def chips(self, coded: NDArray[np.int8]) -> NDArray[np.float64]:
        """Signs [N_SLOTS, N_BANDS] with the coded bits [N_CODED] in them."""
        flips = np.where(self.bits < 0, 1, 1 - 2 * coded[np.maximum(self.bits, 0)])
        return (self.signs * flips).astype(np.float64)


def watermark_key() -> str:
    """The key of the environment, else the public one. Raises ParamError for an empty one."""
    key = os.environ.get(KEY_VARIABLE, DEFAULT_KEY)
    if not key:
        raise ParamError(
            f"{KEY_VARIABLE} is empty; allowed: any text; unset it to use the public key"
        )
    return key


def mark_name(key: str) -> str:
    """What a marked clip records: the kind of mark, and which key without the key itself."""
    return f"ob1 {_digest(key, 'name', 0).hex()[:8]}"


@lru_cache(maxsize=8)
def pattern_of(key: str) -> Pattern:
    """The pattern of a key: the same on every machine, from HMAC-SHA-256 alone."""
    if not isinstance(key, str) or not key:
        raise ParamError(f"a watermark key is {key!r}; allowed: any text that is not empty")
    n_cells = N_SLOTS * N_BANDS
    stream = b"".join(_digest(key, "chips", i) for i in range(-(-n_cells // _DIGEST_BITS)))
    bits = np.unpackbits(np.frombuffer(stream, np.uint8))[:n_cells]
    ranks = [_digest(key, "order", cell) for cell in range(n_cells)]
    order = sorted(range(n_cells), key=ranks.__getitem__)
    carried = np.full(n_cells, -1, np.int16)
    payload_cells = order[n_cells // _SYNC_SHARE :]
    carried[payload_cells] = np.arange(len(payload_cells)) % N_CODED
    shape = (N_SLOTS, N_BANDS)
    return Pattern((1 - 2 * bits.astype(np.int8)).reshape(shape), carried.reshape(shape))


def band_of_bins(n_fft: int, sample_rate: int) -> NDArray[np.int64]:
    """The band of each bin [n_fft // 2 + 1] of a Fourier transform; N_BANDS for bins of no band."""
    low, high = _erb(np.array([_LOW_HZ, _HIGH_HZ]))
    frequency = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    place = np.floor((_erb(frequency) - low) / (high - low) * N_BANDS).astype(np.int64)
    return np.where((place < 0) | (place >= N_BANDS), N_BANDS, place)


def _erb(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Number of equivalent rectangular bandwidths below a frequency in Hz (Glasberg and Moore, 1990)."""
    found: NDArray[np.float64] = 21.4 * np.log10(1.0 + 0.00437 * frequency)
    return found


def _digest(key: str, name: str, counter: int) -> bytes:
    return hmac.digest(key.encode(), f"{name}|{counter}".encode(), hashlib.sha256)
