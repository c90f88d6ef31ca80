"""Random weights for a config: checkpoints for tests and benchmarks, where sizes matter and speech does not.

Layers keep the scale of their input, so that logits differ clearly from each other.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.shapes import Shape, expected_shapes
from openbark.config import BarkConfig

__all__ = ["random_checkpoint"]


def random_checkpoint(config: BarkConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """A random float32 tensor for every name of `expected_shapes(config)`; each depends on `seed` and its
    own name only."""
    tensors = {}
    for name, shape in expected_shapes(config).items():
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        noise = generator.standard_normal(shape, dtype=np.float32)
        offset, scale = _distribution(name, shape)
        tensors[name] = offset + np.float32(scale) * noise
    return tensors


def _distribution(name: str, shape: Shape) -> tuple[np.float32, float]:
    """Mean and standard deviation."""
    if name.endswith("bias") or ".lstm.bias" in name:
        return np.float32(0), 0.05
    if len(shape) == 1:
        return np.float32(1), 0.05
    if "embed" in name and len(shape) == 2:
        return np.float32(0), 0.3
    return np.float32(0), 1.0 / math.sqrt(math.prod(shape[1:]))
