"""Weight norm: w = g * v / |v|, the norm over all axes but the first (Salimans and Kingma 2016).

The Hugging Face layout stores EnCodec's convolutions as g and v, newer files as
`parametrizations.weight.original0` and `original1`, older ones as `weight_g` and `weight_v` (docs/parity.md C2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.floating]


def spellings(name: str) -> tuple[tuple[str, str], ...]:
    """Names under which g and v of the weight `name` may be stored, the one we write first."""
    stem = name.removesuffix("weight")
    return (
        (f"{stem}parametrizations.weight.original0", f"{stem}parametrizations.weight.original1"),
        (f"{stem}weight_g", f"{stem}weight_v"),
    )


def _lengths(v: _Array) -> NDArray[np.float64]:
    squares = np.square(v, dtype=np.float64).sum(axis=tuple(range(1, v.ndim)), keepdims=True)
    lengths: NDArray[np.float64] = np.sqrt(squares)
    return lengths


def fold(g: _Array, v: _Array) -> NDArray[np.float32]:
    """The plain weight, computed in float64. A direction of length 0 has no weight and gives zeros."""
    lengths = _lengths(v)
    scale = np.divide(g, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return (v * scale).astype(np.float32)


def unfold(weight: _Array) -> tuple[_Array, _Array]:
    """g and v of a plain weight, in its dtype: v is the weight itself. An all-zero row gets length 0 along
    ones, since readers divide by |v|."""
    lengths = _lengths(weight)
    direction = np.where(lengths > 0, weight, weight.dtype.type(1))
    return lengths.astype(weight.dtype), direction.astype(weight.dtype)
