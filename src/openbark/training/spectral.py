"""Spectral losses between two waveforms, restricted to the band that the codec can produce.

Plain functions of waveforms; they know nothing of networks. The magnitude has a hand-written
backward pass: through autograd the same STFT costs about four times as much on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.backends.torch.convnext import mel_filterbank
from openbark.backends.torch.istft import overlap_add


class _Magnitude(torch.autograd.Function):
    """``sqrt(re^2 + im^2 + 1e-7)`` of the first bins of a windowed STFT, no centre padding."""

    @staticmethod
    def forward(ctx: Any, waveform: Tensor, window: Tensor, hop: int, n_bins: int) -> Tensor:
        frames = waveform.unfold(-1, window.shape[0], hop) * window
        spectrum = torch.fft.rfft(frames)[..., :n_bins]
        power = spectrum.real.square().add_(spectrum.imag.square())
        magnitude: Tensor = power.add_(1e-7).sqrt_()
        ctx.save_for_backward(spectrum, magnitude, window)
        ctx.hop = hop
        ctx.length = waveform.shape[-1]
        return magnitude

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        spectrum, magnitude, window = ctx.saved_tensors
        size = window.shape[0]
        weighted = spectrum * (gradient / magnitude)
        # irfft counts every bin but the first (and the last) twice; the derivative counts once.
        weighted[..., 0] *= 2.0
        if weighted.shape[-1] == size // 2 + 1:
            weighted[..., -1] *= 2.0
        frames = torch.fft.irfft(weighted, n=size, norm="forward") * (0.5 * window)
        summed = overlap_add(frames, ctx.hop)
        return F.pad(summed, (0, ctx.length - summed.shape[-1])), None, None, None


def stft_magnitude(waveform: Tensor, window: Tensor, hop: int, n_bins: int) -> Tensor:
    """Magnitudes ``[B, T, n_bins]`` of ``waveform [B, L]``; ``hop`` divides the window's length."""
    magnitude: Tensor = _Magnitude.apply(waveform, window, hop, n_bins)  # type: ignore[no-untyped-call]
    return magnitude


@dataclass(frozen=True)
class Resolution:
    """One STFT of the loss: window and hop in samples, mel bands (0: no mel term)."""

    n_fft: int
    hop: int
    n_mels: int


DEFAULT_RESOLUTIONS = (
    Resolution(2048, 512, 80),
    Resolution(1024, 256, 64),
    Resolution(512, 128, 32),
    Resolution(256, 64, 0),
)


class SpectralLoss(nn.Module):
    """Multi-resolution STFT and log-mel distances (Yamamoto 2020; mel weight as in the trial).

    Bins at or above ``limit_hz`` are ignored in both signals, which is what band-limiting both
    would do. Buffers are not persistent: the loss adds nothing to a checkpoint.
    """

    def __init__(
        self,
        sampling_rate: int,
        limit_hz: float,
        resolutions: tuple[Resolution, ...] = DEFAULT_RESOLUTIONS,
    ) -> None:
        super().__init__()
        self.resolutions = resolutions
        self.n_bins: list[int] = []
        for index, resolution in enumerate(resolutions):
            n_bins = min(
                resolution.n_fft // 2 + 1, int(limit_hz * resolution.n_fft / sampling_rate)
            )
            self.n_bins.append(n_bins)
            window = torch.hann_window(resolution.n_fft)
            self.register_buffer(f"window_{index}", window, persistent=False)
            if resolution.n_mels:
                bank = mel_filterbank(sampling_rate, resolution.n_fft, resolution.n_mels, limit_hz)[
                    :n_bins
                ]
                self.register_buffer(f"bank_{index}", bank, persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(STFT distance, mel distance) of two waveforms ``[B, L]``, both scalars.

        STFT distance: mean over resolutions of half spectral convergence plus half the L1 of
        ``log(magnitude + 1e-3)``. Mel distance: mean L1 of ``log(max(mel, 1e-4))``.
        """
        stft_terms, mel_terms = [], []
        for index, resolution in enumerate(self.resolutions):
            window = self.get_buffer(f"window_{index}")
            n_bins = self.n_bins[index]
            a = stft_magnitude(output, window, resolution.hop, n_bins)
            with torch.no_grad():
                b = stft_magnitude(target, window, resolution.hop, n_bins)
                norm = b.norm().clamp(min=1e-3)
                log_b = torch.log(b + 1e-3)
            convergence = (a - b).norm() / norm
            log_distance = F.l1_loss(torch.log(a + 1e-3), log_b)
            stft_terms.append(0.5 * (convergence + log_distance))
            if resolution.n_mels:
                bank = self.get_buffer(f"bank_{index}")
                mel_a = torch.log((a @ bank).clamp(min=1e-4))
                with torch.no_grad():
                    mel_b = torch.log((b @ bank).clamp(min=1e-4))
                mel_terms.append(F.l1_loss(mel_a, mel_b))
        mel = torch.stack(mel_terms).mean() if mel_terms else output.new_zeros(())
        return torch.stack(stft_terms).mean(), mel


class MelDistance(nn.Module):
    """Validation figure: L1 of natural-log mel (80 bands, 1024-point Hann, hop 240, floor 1e-4)."""

    window: Tensor
    bank: Tensor

    def __init__(self, sampling_rate: int, limit_hz: float) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(1024), persistent=False)
        bank = mel_filterbank(sampling_rate, 1024, 80, limit_hz)
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Scalar distance of two waveforms ``[B, L]`` of equal length (edges zero-padded)."""
        logs = []
        for waveform in (output, target):
            padded = F.pad(waveform, (512, 512))
            frames = padded.unfold(-1, 1024, 240) * self.window
            magnitude = torch.fft.rfft(frames).abs()
            logs.append(torch.log((magnitude @ self.bank).clamp(min=1e-4)))
        return F.l1_loss(logs[0], logs[1])
