"""What the watermark says: 40 bits with a checksum, coded so that they survive wrong bits.

Version 4 bits, model 12, seed 16, CRC-8 over these. A convolutional code of rate 1/2 and constraint length 7
(generators 171 and 133 octal) makes 92 bits of them; they are decoded from soft values by the Viterbi algorithm.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import ParamError
from openbark.watermark.pattern import N_CODED

VERSION = 1
_WIDTHS = (4, 12, 16)
_CRC_BITS = 8
_CRC_POLYNOMIAL = 0x07
_MEMORY = 6
_GENERATORS = (0o171, 0o133)
_N_DATA = sum(_WIDTHS) + _CRC_BITS


@dataclass(frozen=True)
class Payload:
    """model: 12 bits of a hash of the model's config; seed: 16 bits of a hash of the seed."""

    model: int = 0
    seed: int = 0
    version: int = VERSION

    def __post_init__(self) -> None:
        for name, value, width in zip(
            ("version", "model", "seed"),
            (self.version, self.model, self.seed),
            _WIDTHS,
            strict=True,
        ):
            if not 0 <= value < 2**width:
                raise ParamError(f"the payload's {name} is {value}; allowed: 0 to {2**width - 1}")

    @classmethod
    def of(cls, config: Mapping[str, Any], seed: int) -> Payload:
        """The payload of a clip: config as plain values, and the seed."""
        text = json.dumps(config, sort_keys=True, default=str)
        return cls(_hash(text) >> 4, _hash(f"seed {seed}"))

    def coded(self) -> NDArray[np.int8]:
        """The 92 coded bits."""
        values = (self.version, self.model, self.seed)
        data = [b for v, w in zip(values, _WIDTHS, strict=True) for b in _bits(v, w)]
        data += _bits(_crc(data), _CRC_BITS)
        outputs, state = [], 0
        for bit in [*data, *[0] * _MEMORY]:
            register = bit << _MEMORY | state
            outputs += [(register & g).bit_count() & 1 for g in _GENERATORS]
            state = register >> 1
        return np.array(outputs, np.int8)


def decode_payload(soft: NDArray[np.float64]) -> Payload | None:
    """The payload of soft values [92], positive for a bit of 0; None where the checksum or the version is wrong."""
    bits = _viterbi(soft)[:_N_DATA]
    n_checked = sum(_WIDTHS)
    if _number(bits[n_checked:]) != _crc(bits[:n_checked]):
        return None
    ends = np.cumsum(_WIDTHS)
    version, model, seed = (
        _number(bits[end - width : end]) for end, width in zip(ends, _WIDTHS, strict=True)
    )
    return Payload(model, seed, version) if version == VERSION else None


@lru_cache(maxsize=1)
def _trellis() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each state the two states it may come from [64, 2], and the outputs on the way as signs [64, 2, 2]."""
    n_states = 1 << _MEMORY
    before = np.zeros((n_states, 2), np.int64)
    outputs = np.zeros((n_states, 2, 2))
    for state in range(n_states):
        bit = state >> (_MEMORY - 1)
        for lost in (0, 1):
            old = (state << 1 & (n_states - 1)) | lost
            register = bit << _MEMORY | old
            before[state, lost] = old
            outputs[state, lost] = [1 - 2 * ((register & g).bit_count() & 1) for g in _GENERATORS]
    return before, outputs


def _viterbi(soft: NDArray[np.float64]) -> list[int]:
    before, outputs = _trellis()
    score = np.full(1 << _MEMORY, -np.inf)
    score[0] = 0.0
    choices = []
    for pair in soft.reshape(N_CODED // 2, 2):
        ways = score[before] + outputs @ pair
        choice = ways.argmax(axis=1)
        score = ways.max(axis=1)
        choices.append(choice)
    state, bits = 0, []  # the six zeros at the end lead back to state 0
    for choice in reversed(choices):
        bits.append(state >> (_MEMORY - 1))
        state = int(before[state, choice[state]])
    return bits[::-1]


def _crc(bits: list[int]) -> int:
    register = 0
    for bit in bits:
        carry = register >> (_CRC_BITS - 1) ^ bit
        register = (register << 1 & 0xFF) ^ (_CRC_POLYNOMIAL if carry else 0)
    # An empty register for a payload of zeros would agree with silence.
    return register ^ 0x55


def _bits(value: int, width: int) -> list[int]:
    return [value >> shift & 1 for shift in reversed(range(width))]


def _number(bits: list[int]) -> int:
    return int("".join(map(str, bits)), 2)


def _hash(text: str) -> int:
    """16 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:2], "big")
