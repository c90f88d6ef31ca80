"""The iSTFT codec: log-mel encoder, residual quantiser, ConvNeXt decoder that predicts a spectrum.

Vocos-like (Siuzdak 2023). Everything is a plain function of the weights: no sampling, no
training-time statistics (those live in `openbark.training.quantizer`).

Framing. One codec frame is ``hop_length`` samples and holds ``subframes`` synthesis frames.
Frame ``f`` covers samples ``[f*hop_length, (f+1)*hop_length)``. With ``hop = hop_length /
subframes`` the synthesis frame ``s`` is centred on sample ``s*hop + hop//2``: its first sample
lies at ``s*hop + hop//2 - n_fft//2``. The analysis side has the same centres (see `convnext`).

Synthesis. Each frame's spectrum has ``n_bins`` predicted bins, the rest of ``n_fft//2 + 1`` is
zero, so the output carries nothing above ``n_bins * sampling_rate / n_fft`` Hz. The inverse FFT of
each frame is multiplied by the periodic Hann window, the frames are added, and every sample is
divided by the sum of the squared windows that cover it. Exactly ``F * hop_length`` samples come
out. This part always runs in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.backends.torch.convnext import ConvNeXtStack, LogMelFrames
from openbark.backends.torch.residual import ResidualCodec
from openbark.config import IstftCodecConfig


def overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Sum ``frames [B, S, N]`` at spacing ``hop`` (a divisor of N): ``[B, (S - 1) * hop + N]``."""
    batch, count, size = frames.shape
    pieces = size // hop
    parts = frames.view(batch, count, pieces, hop)
    total = torch.zeros(batch, count + pieces - 1, hop, dtype=frames.dtype, device=frames.device)
    for piece in range(pieces):
        total = total + F.pad(parts[:, :, piece], (0, 0, piece, pieces - 1 - piece))
    return total.view(batch, -1)


class IstftEncoder(nn.Module):
    """Waveform to latent: stacked log-mel, ConvNeXt stack, linear projection."""

    def __init__(self, config: IstftCodecConfig) -> None:
        super().__init__()
        self.features = LogMelFrames(
            config.sampling_rate,
            config.hop_length // config.subframes,
            config.subframes,
            config.mel_n_fft,
            config.n_mels,
            config.bandwidth_hz,
        )
        self.stack = ConvNeXtStack(
            self.features.features,
            config.encoder_dim,
            config.encoder_layers,
            config.mlp_ratio,
            config.kernel_size,
        )
        self.project = nn.Linear(config.encoder_dim, config.codebook_dim)

    def forward(self, waveform: Tensor) -> Tensor:
        """Latent ``[B, F, D]`` of ``waveform [B, L]``."""
        latent: Tensor = self.project(self.stack(self.features(waveform)))
        return latent


class IstftDecoder(nn.Module):
    """Latent to waveform: ConvNeXt stack, then log-magnitude and phase of each synthesis frame.

    The head's output is laid out ``[subframes][log-magnitude, phase][n_bins]``.
    """

    window: Tensor

    def __init__(self, config: IstftCodecConfig) -> None:
        super().__init__()
        self.n_fft = config.n_fft
        self.n_bins = config.n_bins
        self.subframes = config.subframes
        self.hop = config.hop_length // config.subframes
        self.stack = ConvNeXtStack(
            config.codebook_dim,
            config.decoder_dim,
            config.decoder_layers,
            config.mlp_ratio,
            config.kernel_size,
        )
        self.head = nn.Linear(config.decoder_dim, config.subframes * 2 * config.n_bins)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        # A full-scale sine reaches n_fft / 4 in one bin: twice that is never needed, and exp
        # cannot overflow.
        self.max_log_magnitude = math.log(config.n_fft / 2)

    def forward(self, latent: Tensor) -> Tensor:
        """Waveform ``[B, F * hop_length]`` of ``latent [B, F, D]``."""
        head = self.head(self.stack(latent))
        with torch.autocast(latent.device.type, enabled=False):
            batch, frames, _ = head.shape
            head = head.float().view(batch, frames * self.subframes, 2, self.n_bins)
            magnitude = torch.exp(head[:, :, 0].clamp(max=self.max_log_magnitude))
            phase = head[:, :, 1]
            spectrum = torch.complex(magnitude * torch.cos(phase), magnitude * torch.sin(phase))
            return self.synthesise(spectrum)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Waveform ``[B, S * hop]`` of the complex ``spectrum [B, S, n_bins]``, S sub-frames."""
        count = spectrum.shape[1]
        frames = torch.fft.irfft(spectrum, n=self.n_fft) * self.window
        start = self.n_fft // 2 - self.hop // 2
        stop = start + count * self.hop
        squares = self.window.square().expand(1, count, -1)
        envelope = overlap_add(squares, self.hop)[:, start:stop]
        return overlap_add(frames, self.hop)[:, start:stop] / envelope


class IstftCodec(ResidualCodec):
    """The iSTFT codec.

    Padding a batch of unequal utterances changes the codes near the padding (the encoder sees
    about a third of a second around a frame): encode utterances one by one where that matters.
    """

    config: IstftCodecConfig
    decoder: IstftDecoder

    def __init__(self, config: IstftCodecConfig) -> None:
        super().__init__(config, IstftEncoder(config), IstftDecoder(config))
