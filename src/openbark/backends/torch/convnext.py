"""The two pieces shared by the small 50 Hz networks: log-mel analysis and ConvNeXt blocks.

Used by the iSTFT codec and by the semantic encoder. Knows nothing of codebooks, tokens or
training.

Framing, which a twin in another language has to repeat exactly
---------------------------------------------------------------
* The waveform is zero-padded on the right to a multiple of the frame length ``hop * subframes``.
* Sub-frame ``s`` covers samples ``[s*hop, (s+1)*hop)``; its centre is ``s*hop + hop//2``.
* Its analysis window is the periodic Hann window of ``n_fft`` samples whose sample ``n_fft//2``
  lies on that centre; samples outside the waveform are zeros.
* Frame ``f`` stacks the features of sub-frames ``f*subframes .. f*subframes + subframes - 1``,
  earliest first.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Below one 16-bit quantisation step seen through a 1024-point window: quieter detail is noise.
_MEL_FLOOR = 1e-4
# Brings log-mel values of speech, about [-9.2, 4], near zero mean and unit spread.
_MEL_SHIFT, _MEL_SCALE = 4.0, 3.0


def mel_filterbank(sampling_rate: int, n_fft: int, n_mels: int, limit_hz: float) -> Tensor:
    """Triangular filters ``[n_fft//2 + 1, n_mels]`` from 0 to ``limit_hz``, peak 1.

    Centres are equally spaced on the mel scale ``2595 * log10(1 + f / 700)``.
    """
    top = 2595.0 * math.log10(1.0 + limit_hz / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, n_mels + 2) / 2595.0) - 1.0)
    frequencies = np.arange(n_fft // 2 + 1)[:, None] * (sampling_rate / n_fft)
    low, centre, high = edges[None, :-2], edges[None, 1:-1], edges[None, 2:]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    bank = np.maximum(0.0, np.minimum(rising, falling))
    return torch.from_numpy(bank.astype(np.float32))


class LogMelFrames(nn.Module):
    """Waveform to stacked, normalised log-mel features (framing: see the module docstring).

    The value of one band is ``(log(max(sum_j bank_j * |STFT_j|, 1e-4)) + 4) / 3``. Always float32.
    """

    window: Tensor
    bank: Tensor

    def __init__(
        self,
        sampling_rate: int,
        hop: int,
        subframes: int,
        n_fft: int,
        n_mels: int,
        limit_hz: float,
    ) -> None:
        super().__init__()
        self.hop = hop
        self.subframes = subframes
        self.n_fft = n_fft
        self.features = n_mels * subframes
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        bank = mel_filterbank(sampling_rate, n_fft, n_mels, limit_hz)
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Features ``[B, F, n_mels * subframes]`` of ``waveform [B, L]``; F = ceil(L / frame)."""
        with torch.autocast(waveform.device.type, enabled=False):
            frame = self.hop * self.subframes
            frames = -(-waveform.shape[-1] // frame)
            before = self.n_fft // 2 - self.hop // 2
            last_start = (frames * self.subframes - 1) * self.hop - before
            after = max(0, last_start + self.n_fft - waveform.shape[-1])
            padded = F.pad(waveform.float(), (before, after))
            windows = padded.unfold(-1, self.n_fft, self.hop)[:, : frames * self.subframes]
            spectrum = torch.fft.rfft(windows * self.window)
            # Complex abs() guards against overflow that speech cannot cause, at twice the cost.
            magnitude = (spectrum.real.square() + spectrum.imag.square()).sqrt()
            mel = torch.log((magnitude @ self.bank).clamp(min=_MEL_FLOOR))
            mel = (mel + _MEL_SHIFT) / _MEL_SCALE
            return mel.reshape(mel.shape[0], frames, self.features)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm, GELU MLP, layer scale and a residual, on ``[B, T, C]``.

    The 1-D ConvNeXt block of Vocos (Siuzdak 2023); zero padding at both ends, exact (erf) GELU.
    """

    def __init__(self, dim: int, hidden: int, kernel_size: int, initial_scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.up = nn.Linear(dim, hidden)
        self.down = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), initial_scale))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, C] -> [B, T, C]``."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        y = self.down(F.gelu(self.up(self.norm(y))))
        return torch.addcmul(x, y, self.scale)


class ConvNeXtStack(nn.Module):
    """Input convolution, LayerNorm, ``layers`` ConvNeXt blocks, final LayerNorm, on ``[B, T, C]``."""

    def __init__(
        self, input_dim: int, dim: int, layers: int, mlp_ratio: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.embed = nn.Conv1d(input_dim, dim, kernel_size, padding=kernel_size // 2)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.layers = nn.ModuleList(
            ConvNeXtBlock(dim, dim * mlp_ratio, kernel_size, 1.0 / layers) for _ in range(layers)
        )
        self.final_norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, input_dim] -> [B, T, dim]``."""
        x = self.norm(self.embed(x.transpose(1, 2)).transpose(1, 2))
        for layer in self.layers:
            x = layer(x)
        y: Tensor = self.final_norm(x)
        return y
