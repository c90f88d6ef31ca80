"""Waveform arithmetic for the measurements: resampling, frames, levels, mel spectra. Numpy only.

Written apart from the package on purpose: a fault there must not hide itself here.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["decibels", "frame", "mel_filters", "power_spectra", "resample", "rms_envelope"]

Array = npt.NDArray[np.float64]
_TAPS_PER_SIDE = 24


def resample(waveform: npt.NDArray[np.floating], source: int, target: int) -> Array:
    """Change the sample rate (Hz) of ``[L]`` by a Kaiser-windowed sinc, polyphase form."""
    signal = np.asarray(waveform, dtype=np.float64)
    if source == target:
        return signal
    common = math.gcd(source, target)
    up, down = target // common, source // common
    half = _TAPS_PER_SIDE * max(up, down)
    n = np.arange(-half, half + 1)
    cutoff = 0.95 / max(up, down)
    kernel = up * cutoff * np.sinc(cutoff * n) * np.kaiser(len(n), 8.0)
    n_out = -(-len(signal) * up // down)
    positions = np.arange(n_out) * down
    output = np.zeros(n_out)
    reach = half // up + 1
    padded = np.pad(signal, (reach, reach + 1))
    for phase in range(up):
        taps = kernel[(half + phase) % up :: up]
        first = (half + phase) // up
        rows = np.nonzero(positions % up == phase)[0]
        starts = positions[rows] // up + reach - len(taps) + 1 + first
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(padded, len(taps)), len(taps))
        output[rows] = windows[starts + len(taps)] @ taps[::-1]
    return output


def frame(waveform: npt.NDArray[np.floating], size: int, hop: int) -> Array:
    """Overlapping frames ``[T, size]`` of ``[L]``, the end filled with zeros; at least one."""
    signal = np.asarray(waveform, dtype=np.float64)
    n_frames = max(1, math.ceil((len(signal) - size) / hop) + 1)
    padded = np.pad(signal, (0, max(0, (n_frames - 1) * hop + size - len(signal))))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:n_frames]


def power_spectra(waveform: npt.NDArray[np.floating], n_fft: int, hop: int) -> Array:
    """Power ``[T, n_fft // 2 + 1]`` of Hann-windowed frames."""
    spectrum = np.fft.rfft(frame(waveform, n_fft, hop) * np.hanning(n_fft))
    return spectrum.real**2 + spectrum.imag**2


def mel_filters(sample_rate: int, n_fft: int, n_mels: int, low_hz: float, high_hz: float) -> Array:
    """Triangular filters ``[n_fft // 2 + 1, n_mels]`` on the HTK mel scale."""
    low_mel, high_mel = (2595.0 * math.log10(1.0 + hz / 700.0) for hz in (low_hz, high_hz))
    edges_mel = np.linspace(low_mel, high_mel, n_mels + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.arange(n_fft // 2 + 1)[:, None] * sample_rate / n_fft
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank: Array = np.maximum(0.0, np.minimum(rising, falling))
    return bank


def rms_envelope(
    waveform: npt.NDArray[np.floating], sample_rate: int, hop_s: float = 0.01
) -> Array:
    """Root mean square ``[T]`` of consecutive blocks of `hop_s` seconds."""
    hop = round(sample_rate * hop_s)
    levels: Array = np.sqrt((frame(waveform, hop, hop) ** 2).mean(axis=1))
    return levels


def decibels(amplitude: npt.NDArray[np.floating] | float) -> Array:
    """20 log10 of an amplitude, floored at -120 dB."""
    return 20.0 * np.log10(np.maximum(np.asarray(amplitude, dtype=np.float64), 1e-6))
