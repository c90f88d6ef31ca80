"""One `.npy` array of unknown origin: never unpickled, never larger than the bytes that are there.

Knows no keys and no voice.
"""

from __future__ import annotations

import io
import tokenize
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import VoiceError

__all__ = ["decode_npy"]

_DAMAGED = (EOFError, OSError, ValueError, TypeError, SyntaxError, tokenize.TokenError)
"""What numpy raises for headers that are none."""


def decode_npy(data: bytes, label: str) -> NDArray[Any]:
    """The array in the bytes of an `.npy` file, any shape and plain dtype.

    Raises VoiceError starting with `label` for pickled objects, unknown versions, and headers that are
    damaged or disagree with the size.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if reader is None:
            raise VoiceError(f"{label} has the unknown npy version {version}")
        shape, _, dtype = reader(stream)
    except VoiceError:
        raise
    except _DAMAGED as error:
        raise VoiceError(f"{label} is no npy array ({error}); save the voice again") from error
    if dtype.hasobject:
        raise VoiceError(
            f"{label} holds pickled Python objects, which could run code when "
            "read; save the voice again as three integer arrays"
        )
    # The header decides how much numpy allocates: it must not ask for more than there is.
    count = int(np.prod([int(length) for length in shape], dtype=object))
    if min((0, *shape)) < 0 or count * dtype.itemsize != len(data) - stream.tell():
        raise VoiceError(f"{label} is damaged (its header and size disagree)")
    stream.seek(0)
    try:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except _DAMAGED as error:
        raise VoiceError(f"{label} is damaged ({error}); save the voice again") from error
    return array
