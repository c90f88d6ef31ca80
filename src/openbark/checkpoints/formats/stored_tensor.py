"""One tensor in a file: where its bytes lie and what they mean, memory-mapped when it is read.

safetensors' and torch's files alike; knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import CheckpointUnsupportedError

_AS_STORED: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "F32": np.dtype("<f4"),
        "F16": np.dtype("<f2"),
        "F64": np.dtype("<f8"),
        "BF16": np.dtype("<u2"),
    }
)
_WHOLE: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "I64": np.dtype("<i8"),
        "I32": np.dtype("<i4"),
        "I16": np.dtype("<i2"),
        "I8": np.dtype("i1"),
        "U8": np.dtype("u1"),
    }
)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor lies: bytes `start` to `stop` of a file. `dtype` is safetensors' name for its type;
    `strides`, in elements, is None for row-major order."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int
    strides: tuple[int, ...] | None = None

    def raw(self) -> NDArray[Any]:
        """The tensor as stored, read-only, without a copy; bfloat16 as the uint16 of its bits.

        Raises CheckpointUnsupportedError for types that are not floats.
        """
        return self._mapped(_AS_STORED)

    def integers(self) -> NDArray[np.int64]:
        """The tensor as int64, a copy. Raises CheckpointUnsupportedError for types that are not whole
        numbers."""
        return self._mapped(_WHOLE).astype(np.int64)

    def _mapped(self, readable: Mapping[str, np.dtype[Any]]) -> NDArray[Any]:
        kind = readable.get(self.dtype)
        if kind is None:
            raise CheckpointUnsupportedError(
                f"{self.file}: tensor {self.name} is stored as {self.dtype}; "
                f"readable: {', '.join(readable)}"
            )
        if self.start == self.stop:
            return np.zeros(self.shape, dtype=kind)
        mapped = np.memmap(self.file, np.uint8, "r", self.start, (self.stop - self.start,))
        flat: NDArray[Any] = np.asarray(mapped).view(kind)
        if self.strides is None:
            return flat.reshape(self.shape)
        steps = tuple(kind.itemsize * stride for stride in self.strides)
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False)

    def read(self) -> NDArray[np.float32]:
        """The tensor as float32; without a copy, read-only, where it is stored as that.

        Raises CheckpointUnsupportedError for types that are not floats.
        """
        stored = self.raw()
        if self.dtype == "BF16":
            # A bfloat16 is the upper half of a float32.
            stored = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return stored.astype(np.float32, copy=False)
