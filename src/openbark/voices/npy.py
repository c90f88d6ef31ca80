"""One `.npy` array of unknown origin: never unpickled, never larger than the bytes that are there, and judged by
its header before the rest is read.

Knows no keys and no voice.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import VoiceError

HeaderCheck = Callable[[tuple[int, ...], "np.dtype[Any]"], None]
"""Raises VoiceError for a shape and a dtype that are not wanted."""

_DAMAGED = (EOFError, OSError, ValueError, TypeError, SyntaxError, tokenize.TokenError)
"""What numpy raises for headers that are none."""


def decode_npy(data: bytes, label: str) -> NDArray[Any]:
    """The array in the bytes of an `.npy` file, any shape and plain dtype.

    Raises VoiceError starting with `label` for pickled objects, unknown versions, and headers that are
    damaged or disagree with the size.
    """
    return read_npy(io.BytesIO(data), len(data), label)


def read_npy(
    stream: IO[bytes], n_bytes: int, label: str, check: HeaderCheck | None = None
) -> NDArray[Any]:
    """The array in the next `n_bytes` of a stream, which need not seek; as `decode_npy`.

    check: asked when the header is known and nothing else was read.
    """
    counted = _Counted(stream)
    try:
        version = np.lib.format.read_magic(counted)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if reader is None:
            raise VoiceError(f"{label} has the unknown npy version {version}")
        shape, in_fortran_order, dtype = reader(counted)
    except VoiceError:
        raise
    except _DAMAGED as error:
        raise VoiceError(f"{label} is not an npy array ({error}); save the voice again") from error
    if dtype.hasobject:
        raise VoiceError(
            f"{label} holds pickled Python objects, which could run code when "
            "read; save the voice again as three integer arrays"
        )
    # The header decides how much numpy allocates: it must not ask for more than there is.
    count = int(np.prod([int(length) for length in shape], dtype=object))
    n_left = n_bytes - counted.n_read
    if min((0, *shape)) < 0 or count * dtype.itemsize != n_left:
        raise VoiceError(f"{label} is damaged (its header and size disagree)")
    if check is not None:
        check(shape, dtype)
    try:
        values = np.frombuffer(stream.read(n_left), dtype) if n_left else np.zeros(0, dtype)
        array: NDArray[Any] = values.reshape(shape, order="F" if in_fortran_order else "C")
    except _DAMAGED as error:
        raise VoiceError(f"{label} is damaged ({error}); save the voice again") from error
    return array


class _Counted:
    """A stream for numpy's readers of headers, and how much they took."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.n_read = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self.n_read += len(data)
        return data
