"""Which model a checkpoint is: a short name made from its sizes and from samples of every tensor.

The same on every machine and for every way to store the same weights. Not proof against malice: it tells a
fine-tuned model from the one it came from, not a forged one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.formats.stored_tensor import StoredTensor

_SAMPLES = 64
_HEX_DIGITS = 16


def fingerprint(checkpoint: Checkpoint) -> str:
    """Sixteen hexadecimal digits of SHA-256 over the config and the start, middle and end of each tensor."""
    digest = hashlib.sha256(json.dumps(asdict(checkpoint.config), sort_keys=True).encode())
    for name in sorted(checkpoint.sources):
        for part in checkpoint.sources[name].parts:
            digest.update(f"{name} {part.shape}".encode())
            digest.update(_samples(part).tobytes())
    return digest.hexdigest()[:_HEX_DIGITS]


def _samples(part: StoredTensor) -> NDArray[np.float32]:
    flat = part.raw().reshape(-1)
    middle = max(0, (len(flat) - _SAMPLES) // 2)
    chosen = np.concatenate(
        [flat[:_SAMPLES], flat[middle : middle + _SAMPLES], flat[-_SAMPLES:]]
    ).copy()
    if part.dtype == "BF16":
        return (chosen.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return chosen.astype("<f4")
