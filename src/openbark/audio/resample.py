"""From one sample rate to another. Knows no files."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from openbark.audio.samples import check_rate, check_waveform
from openbark.types import Waveform

_ZERO_CROSSINGS = 32
_ROLLOFF = 0.945
_KAISER_BETA = 9.0
_ROWS_AT_ONCE = 1 << 14


def resample(waveform: Waveform, from_rate: int, to_rate: int) -> Waveform:
    """Bring a waveform [L] from one sample rate to another: [ceil(L * to / from)].

    Windowed-sinc interpolation in polyphase form (J. O. Smith, "Digital Audio Resampling", CCRMA), Kaiser
    window, 32 zero crossings each side; content above 94 % of the lower Nyquist limit is removed.
    """
    check_rate("from_rate", from_rate)
    check_rate("to_rate", to_rate)
    samples = check_waveform(waveform, from_rate)
    divisor = math.gcd(from_rate, to_rate)
    up, down = to_rate // divisor, from_rate // divisor
    if up == down or len(samples) == 0:
        return samples.copy()
    n_out = -(-len(samples) * up // down)
    cutoff = min(1.0, up / down) * _ROLLOFF
    half = math.ceil(_ZERO_CROSSINGS / cutoff)
    last_input = (n_out - 1) * down // up
    padded = np.pad(samples, (half, max(0, last_input + half + 1 - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    out = np.empty(n_out, dtype=np.float32)
    # Output n reads the input around n * down / up; outputs `up` apart share a filter phase.
    for first in range(min(up, n_out)):
        position, phase = divmod(first * down, up)
        taps = _sinc_taps(phase / up, half, cutoff)
        count = len(range(first, n_out, up))
        rows = windows[position::down][:count]
        for begin in range(0, count, _ROWS_AT_ONCE):
            block = rows[begin : begin + _ROWS_AT_ONCE] @ taps
            stop = first + (begin + len(block) - 1) * up + 1
            out[first + begin * up : stop : up] = block
    return out


def _sinc_taps(fraction: float, half: int, cutoff: float) -> NDArray[np.float32]:
    offsets = np.arange(-half, half + 1) - fraction
    inside = np.clip(1.0 - (offsets / (half + 1)) ** 2, 0.0, None)
    window = np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    taps: NDArray[np.float64] = np.sinc(cutoff * offsets) * window
    # Every phase passes a constant unchanged; without this the phases differ by a whisper, which is a tone.
    normalised: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return normalised
