"""Windows, filter banks and filters that the compiled codecs are given as arrays. Knows no checkpoint."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from openbark.config import HarmonicCodecConfig


def mel_filterbank(
    sampling_rate: int, n_fft: int, n_mels: int, limit_hz: float
) -> NDArray[np.float32]:
    """Triangular filters [n_mels, n_fft // 2 + 1]; the rule is in `openbark.backends.torch.convnext`."""
    top = 2595.0 * math.log10(1.0 + limit_hz / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, n_mels + 2) / 2595.0) - 1.0)
    frequencies = np.arange(n_fft // 2 + 1)[None, :] * (sampling_rate / n_fft)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def hann_window(size: int) -> NDArray[np.float64]:
    """The periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)


def minimum_phase_weights(config: HarmonicCodecConfig) -> NDArray[np.float64]:
    """[2 * (n_fft // 2 + 1), n_bands]: from log gains to the log magnitude and the phase of the minimum-phase filter.

    Log gains are interpolated linearly between the centres of mel bands. The phase is minus the Hilbert transform of
    the log magnitude: negative times of the cepstrum are folded onto the positive ones.
    """
    fine = 8 * config.n_fft
    bank = mel_filterbank(config.sampling_rate, fine, config.n_bands, config.sampling_rate / 2)
    centres = bank.argmax(1) * (config.sampling_rate / fine)
    bins = np.arange(config.n_fft // 2 + 1) * (config.sampling_rate / config.n_fft)
    spread = np.stack([np.interp(bins, centres, row) for row in np.eye(config.n_bands)])
    cepstrum = np.fft.irfft(spread, n=config.n_fft)
    half = config.n_fft // 2
    folded = np.zeros_like(cepstrum)
    folded[:, 0], folded[:, half] = cepstrum[:, 0], cepstrum[:, half]
    folded[:, 1:half] = 2.0 * cepstrum[:, 1:half]
    logarithm = np.fft.rfft(folded)
    weights: NDArray[np.float64] = np.concatenate([logarithm.real.T, logarithm.imag.T])
    return weights
