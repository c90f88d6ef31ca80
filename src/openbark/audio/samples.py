"""What a waveform is, and its 16-bit form. Knows no files and no rates but to check them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from openbark.errors import AudioError
from openbark.scalars import read_whole
from openbark.types import Waveform

_PCM16_SCALE = 32767.0


def pcm16(waveform: Waveform) -> NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers; louder ones are clipped, not wrapped."""
    scaled: Waveform = np.clip(waveform, -1.0, 1.0) * np.float32(_PCM16_SCALE)
    return np.rint(scaled).astype(np.int16)


def count_clipped(waveform: Waveform) -> int:
    """How many samples lie beyond full scale, where every format but float WAV clips them."""
    return int(np.count_nonzero(np.abs(waveform) > 1.0))


def check_rate(name: str, rate: object) -> None:
    """Raise AudioError unless `rate` is a positive whole number of Hz."""
    number = read_whole(rate)
    if number is None or number <= 0:
        raise AudioError(f"{name} must be a positive whole number of Hz, is {rate!r}")


def check_waveform(waveform: Waveform, sample_rate: int) -> Waveform:
    """`waveform` as float32. Raises AudioError unless it is finite mono float samples [L] at an allowed rate."""
    check_rate("sample_rate", sample_rate)
    samples = np.asarray(waveform)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"a waveform is mono float samples of shape [L]; found {samples.dtype} of shape "
            f"{list(samples.shape)}"
        )
    if not np.isfinite(samples).all():
        raise AudioError("the waveform holds samples that are not finite numbers")
    return samples.astype(np.float32, copy=False)
