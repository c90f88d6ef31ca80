"""What the codecs have in common: a residual quantiser between an encoder and a decoder."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from openbark.config import CodecConfig
from openbark.errors import AudioError, InputError


class Codebook(nn.Module):
    """One table of ``size`` vectors; the buffer is called ``embed`` as in EnCodec (docs/parity.md C2)."""

    embed: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("embed", torch.zeros(size, dim))

    def nearest(self, vectors: Tensor) -> Tensor:
        """Index of the nearest entry (Euclid, lowest index on ties) for ``vectors [..., D]``."""
        score = self.embed.square().sum(1) - 2.0 * (vectors @ self.embed.t())
        return score.argmin(-1)


class _QuantizerLayer(nn.Module):
    """Holds one codebook, for the key ``quantizer.layers.{k}.codebook.embed``."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.codebook = Codebook(size, dim)


class ResidualQuantizer(nn.Module):
    """Residual vector quantiser: codebook k quantises what codebooks 0..k-1 left over."""

    def __init__(self, n_codebooks: int, size: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_QuantizerLayer(size, dim) for _ in range(n_codebooks))

    def codebook(self, k: int) -> Codebook:
        """Codebook ``k``."""
        return cast(_QuantizerLayer, self.layers[k]).codebook

    def encode(self, latent: Tensor, n_codebooks: int | None = None) -> Tensor:
        """Codes ``[B, K, F]`` of ``latent [B, F, D]`` with the first ``n_codebooks`` (all)."""
        count = self._checked_count(n_codebooks)
        with torch.autocast(latent.device.type, enabled=False):
            residual = latent.to(self.codebook(0).embed.dtype)
            codes = []
            for k in range(count):
                codebook = self.codebook(k)
                index = codebook.nearest(residual)
                residual = residual - codebook.embed[index]
                codes.append(index)
            return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Latent ``[B, F, D]`` of ``codes [B, K, F]``; K may be fewer than the codebooks."""
        count = self._checked_count(codes.shape[1])
        latent = self.codebook(0).embed[codes[:, 0]]
        for k in range(1, count):
            latent = latent + self.codebook(k).embed[codes[:, k]]
        return latent

    def _checked_count(self, n_codebooks: int | None) -> int:
        if n_codebooks is None:
            return len(self.layers)
        if not 1 <= n_codebooks <= len(self.layers):
            raise InputError(
                f"codec: {n_codebooks} codebooks asked for or given, "
                f"allowed are 1 to {len(self.layers)}; slice the codes or change n_codebooks"
            )
        return n_codebooks


class ResidualCodec(nn.Module):
    """Waveforms to codes and back: encoder, residual quantiser, decoder.

    The encoder maps a waveform [B, L] in [-1, 1] to a latent [B, F, D], F = ceil(L / hop_length); the decoder a latent to
    a waveform [B, F * hop_length].
    """

    config: CodecConfig
    decoder: nn.Module

    def __init__(self, config: CodecConfig, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.quantizer = ResidualQuantizer(
            config.n_codebooks, config.codebook_size, config.codebook_dim
        )
        self.decoder = decoder

    def encode_latent(self, waveform: Tensor) -> Tensor:
        """Unquantised latent [B, F, D] of `waveform` [B, L] in [-1, 1], F = ceil(L / hop_length)."""
        if waveform.shape[-1] == 0:
            raise AudioError("codec: the waveform is empty; give at least one sample")
        latent: Tensor = self.encoder(waveform)
        return latent

    def encode(self, waveform: Tensor, n_codebooks: int | None = None) -> Tensor:
        """Codes [B, K, F] (int64) of `waveform` [B, L] with the first `n_codebooks` (all)."""
        return self.quantizer.encode(self.encode_latent(waveform), n_codebooks)

    def decode_latent(self, latent: Tensor) -> Tensor:
        """Waveform [B, F * hop_length] of `latent` [B, F, D]; differentiable."""
        waveform: Tensor = self.decoder(latent)
        return waveform

    def decode(self, codes: Tensor) -> Tensor:
        """Waveform [B, F * hop_length] of `codes` [B, K, F], 1 <= K <= n_codebooks."""
        if codes.shape[-1] == 0:
            raise InputError("codec: there are no frames to decode")
        return self.decode_latent(self.quantizer.decode(codes))
