"""A codec with the inner interface of EnCodec's two packages, which scripts use: channels before time.

    encoder    waveform [B, 1, L] -> latent [B, D, F]
    quantizer  latent [B, D, F] <-> codes [K, B, F]
    decoder    latent [B, D, F] -> waveform [B, 1, L]

The modules and their tensors' names are those of `encodec`, `istft` and `harmonic`; only shapes are turned. What the two
packages call alike but shape differently (`encode`, `decode`) is left to subclasses.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from openbark.backends.torch.harmonic import HarmonicDecoder, HarmonicEncoder
from openbark.backends.torch.istft import IstftDecoder, IstftEncoder
from openbark.backends.torch.residual import ResidualQuantizer
from openbark.backends.torch.seanet import SeanetDecoder, SeanetEncoder
from openbark.config import CodecConfig, EncodecConfig, HarmonicCodecConfig
from openbark.errors import InputError


class CodecQuantizer(nn.Module):
    """A residual quantiser over latents [B, D, F] and codes [K, B, F]."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        plain = ResidualQuantizer(config.n_codebooks, config.codebook_size, config.codebook_dim)
        self.layers = plain.layers
        # In a tuple, so that torch does not count the same modules a second time.
        self._plain = (plain,)
        self.codebook_size = config.codebook_size
        self.frame_rate = config.frame_rate

    def n_codebooks_of(self, bandwidth: float | None) -> int:
        """Codebooks that fit a bandwidth in kbit/s; all for None or 0."""
        if not bandwidth:
            return len(self.layers)
        bits = math.log2(self.codebook_size) * math.ceil(self.frame_rate)
        return min(len(self.layers), max(1, math.floor(bandwidth * 1000 / bits)))

    def codes_of(self, latent: Tensor, n_codebooks: int) -> Tensor:
        """Codes [K, B, F] of a latent [B, D, F]."""
        return self._plain[0].encode(latent.transpose(1, 2), n_codebooks).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Latent [B, D, F] of codes [K, B, F]. Raises InputError for another number of dimensions."""
        if codes.ndim != 3:
            raise InputError(
                f"codes have the shape {list(codes.shape)}; allowed: [codebooks, batch, frames]"
            )
        return self._plain[0].decode(codes.transpose(0, 1)).transpose(1, 2)


class _IstftEncoder(IstftEncoder):
    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [B, 1, L] -> latent [B, D, F]."""
        return super().forward(waveform[:, 0]).transpose(1, 2)


class _IstftDecoder(IstftDecoder):
    def forward(self, latent: Tensor) -> Tensor:
        """Latent [B, D, F] -> waveform [B, 1, L]."""
        return super().forward(latent.transpose(1, 2))[:, None]


class _HarmonicEncoder(HarmonicEncoder):
    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [B, 1, L] -> latent [B, D, F]."""
        return super().forward(waveform[:, 0]).transpose(1, 2)


class _HarmonicDecoder(HarmonicDecoder):
    def forward(self, latent: Tensor) -> Tensor:
        """Latent [B, D, F] -> waveform [B, 1, L]."""
        return super().forward(latent.transpose(1, 2))[:, None]


class CodecNetwork(nn.Module):
    """Encoder, quantiser and decoder of any codec."""

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, config: CodecConfig, quantizer: type[CodecQuantizer]) -> None:
        super().__init__()
        self.config: Any = config
        if isinstance(config, EncodecConfig):
            self.encoder, self.decoder = SeanetEncoder(config), SeanetDecoder(config)
        elif isinstance(config, HarmonicCodecConfig):
            self.encoder, self.decoder = _HarmonicEncoder(config), _HarmonicDecoder(config)
        else:
            self.encoder, self.decoder = _IstftEncoder(config), _IstftDecoder(config)
        self.quantizer = quantizer(config)

    def codes_of(self, waveform: Tensor, n_codebooks: int) -> Tensor:
        """Codes [B, K, F] of a waveform [B, 1, L]. Raises InputError for other shapes."""
        if waveform.ndim != 3 or waveform.shape[1] != 1 or waveform.shape[2] == 0:
            raise InputError(
                f"the waveform has the shape {list(waveform.shape)}; allowed: [batch, 1, samples]"
            )
        return self.quantizer.codes_of(self.encoder(waveform), n_codebooks).transpose(0, 1)

    def waveform_of(self, codes: Tensor) -> Tensor:
        """Waveform [B, 1, L] of codes [B, K, F]. Raises InputError for other shapes, and for no frames."""
        if codes.ndim != 3 or codes.shape[2] == 0:
            raise InputError(
                f"codes have the shape {list(codes.shape)}; allowed: [batch, codebooks, frames]"
            )
        waveform: Tensor = self.decoder(self.quantizer.decode(codes.transpose(0, 1)))
        return waveform
