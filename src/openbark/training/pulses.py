"""Where the glottal pulses of a recording lie: what aligns the harmonic codec's source with its target.

Losses with short windows compare the two within a pitch period. A pulse train that only has the right rate, not the
right places, would be punished for it, and the decoder would learn to prefer noise. Knows nothing of networks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PERIODS = 3.0
_HIGH_PASS_HZ = 1000.0
_PHASE_BINS = 64


def pulse_phase(
    waveform: NDArray[np.float32], f0: NDArray[np.float32], hop: int, step: int, rate: int
) -> NDArray[np.float64]:
    """The unwrapped phase [L // step] at the centre of every `step` samples; pulses lie at full turns.

    The fundamental is brought to 0 Hz along the given pitch and smoothed over a few periods: the phase that is left
    corrects the pitch. The offset within a period is where the energy above 1 kHz peaks, over the whole recording.

    Args:
        waveform: [L] in [-1, 1], L = F * hop.
        f0: Hz per frame of `hop` samples, [F], 0 where unvoiced.
    """
    n_frames, length = len(f0), len(f0) * hop
    centres = (np.arange(length // step) + 0.5) * step - 0.5
    voiced = f0 > 0
    if not voiced.any():
        return np.zeros(len(centres))
    frame_times = (np.arange(n_frames) + 0.5) * hop - 0.5
    pitch = np.interp(np.arange(length), frame_times[voiced], f0[voiced].astype(np.float64))
    carrier = 2 * np.pi * np.cumsum(pitch) / rate
    window = np.hanning(int(_PERIODS * rate / np.median(f0[voiced])) | 1)
    baseband = _convolved(waveform * np.exp(-1j * carrier), window)
    phase = carrier + np.unwrap(np.angle(baseband))
    gate = np.repeat(voiced, hop)
    offset = _energy_peak(waveform, np.mod(phase, 2 * np.pi), gate, rate)
    result: NDArray[np.float64] = np.interp(centres, np.arange(length), phase - offset)
    return result


def _energy_peak(
    waveform: NDArray[np.float32], phase: NDArray[np.float64], gate: NDArray[np.bool_], rate: int
) -> float:
    """The phase at which voiced samples hold the most energy above 1 kHz."""
    width = round(rate / _HIGH_PASS_HZ)
    high = waveform - np.convolve(waveform, np.ones(width) / width, mode="same")
    bins = (phase[gate] * (_PHASE_BINS / (2 * np.pi))).astype(np.int64) % _PHASE_BINS
    total = np.bincount(bins, high[gate].astype(np.float64) ** 2, _PHASE_BINS)
    energy = total / np.maximum(np.bincount(bins, minlength=_PHASE_BINS), 1)
    smooth = energy + np.roll(energy, 1) + np.roll(energy, -1)
    return float((smooth.argmax() + 0.5) * 2 * np.pi / _PHASE_BINS)


def _convolved(
    signal: NDArray[np.complex128], window: NDArray[np.float64]
) -> NDArray[np.complex128]:
    size = 1 << (len(signal) + len(window)).bit_length()
    product = np.fft.ifft(np.fft.fft(signal, size) * np.fft.fft(window, size))
    start = len(window) // 2
    result: NDArray[np.complex128] = product[start : start + len(signal)]
    return result
