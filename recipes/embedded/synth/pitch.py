"""Fundamental frequency per 20 ms frame, by normalised autocorrelation in NumPy.

One pass over all frames (the cross-correlation of Talkin's RAPT, without its dynamic
programming). Meant for the clean voices of a synthesiser, not for noisy recordings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_F0_MIN = 60.0
_F0_MAX = 350.0
_FRAMES_PER_SECOND = 50
_WINDOW_SECONDS = 0.032
# Formants above about 1 kHz only mislead; box filters of this inverse width take them away.
_LOW_PASS_HZ = 1_500.0
_VOICED_CORRELATION = 0.6
_SILENCE_RMS = 1e-3
# A lag this much worse than the best is still taken when shorter: halves fewer octaves.
_OCTAVE_TOLERANCE = 0.92


def fundamental_frequency(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Track the pitch of a mono waveform.

    Args:
        waveform: float32 [L] in [-1, 1].
        sample_rate: Hz; 8 kHz or more.

    Returns:
        float32 [T], Hz, 0 where unvoiced; frame t covers t/50 .. (t+1)/50 s, T = ceil(L*50/rate).
    """
    step = max(1, sample_rate // 8_000)
    signal = _smoothed(np.asarray(waveform, np.float32), sample_rate)[::step]
    rate = sample_rate / step
    n_frames = -(-len(waveform) * _FRAMES_PER_SECOND // sample_rate)
    lag_min, lag_max = int(rate / _F0_MAX), int(np.ceil(rate / _F0_MIN))
    n_window = round(rate * _WINDOW_SECONDS)
    span = n_window + lag_max + 1
    centres = (np.arange(n_frames) + 0.5) * rate / _FRAMES_PER_SECOND
    # Window and its lagged copy are centred together on the frame.
    starts = np.round(centres).astype(np.int64)
    padded = np.pad(signal, (span // 2, span + int(rate / _FRAMES_PER_SECOND)))
    frames = padded[starts[:, None] + np.arange(span)]
    frames = frames - frames.mean(axis=1, keepdims=True)
    correlation = _normalised_correlation(frames, n_window, lag_max + 1)
    lags, strength = _best_lags(correlation, lag_min, lag_max)
    loud = np.sqrt((frames**2).mean(axis=1)) > _SILENCE_RMS
    voiced = loud & (strength > _VOICED_CORRELATION)
    return np.where(voiced, rate / lags, 0.0).astype(np.float32)


def _smoothed(signal: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Low-pass with two box filters; plenty for pitch, and for dropping to 8 kHz."""
    width = max(1, round(sample_rate / _LOW_PASS_HZ))
    box = np.ones(width, np.float32) / width
    return np.convolve(signal, np.convolve(box, box), mode="same").astype(np.float32)


def _normalised_correlation(
    frames: NDArray[np.float32], n_window: int, n_lags: int
) -> NDArray[np.float32]:
    """Correlation of each frame's first `n_window` samples with itself later: [T, lags]."""
    span = frames.shape[1]
    size = 1 << (span + n_window).bit_length()
    head = np.fft.rfft(frames[:, :n_window], size)
    product = np.fft.irfft(np.conj(head) * np.fft.rfft(frames, size), size)[:, :n_lags]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    lagged = energy[:, n_window : n_window + n_lags] - energy[:, :n_lags]
    scale = np.sqrt(np.maximum(lagged * lagged[:, :1], 1e-12))
    return (product / scale).astype(np.float32)


def _best_lags(
    correlation: NDArray[np.float32], lag_min: int, lag_max: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The shortest lag whose peak is nearly the highest, refined by a parabola: two [T]."""
    middle = correlation[:, lag_min : lag_max + 1]
    before, after = correlation[:, lag_min - 1 : lag_max], correlation[:, lag_min + 1 :]
    after = after[:, : middle.shape[1]]
    before, middle = before[:, : after.shape[1]], middle[:, : after.shape[1]]
    peaks = np.where((middle >= before) & (middle >= after), middle, -1.0)
    best = peaks.max(axis=1, keepdims=True)
    column = (peaks >= np.maximum(best * _OCTAVE_TOLERANCE, 1e-6)).argmax(axis=1)
    row = np.arange(len(column))
    left, top, right = before[row, column], middle[row, column], after[row, column]
    curve = np.minimum(left - 2 * top + right, -1e-9)
    shift = np.clip(0.5 * (left - right) / curve, -0.5, 0.5)
    return column + lag_min + shift.astype(np.float64), best[:, 0].astype(np.float32)
