"""EnCodec (arXiv 2210.13438): SEANet encoder and decoder around a residual quantiser.

The same interface as `openbark.backends.torch.istft.IstftCodec`. One channel; the codes carry no scale, so
configs that normalise the audio are refused when a checkpoint is read. Weights are plain: weight norm is
folded by `openbark.checkpoints`. Knows no sampling and no chunks.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from openbark.backends.torch.istft import ResidualQuantizer
from openbark.backends.torch.seanet import SeanetDecoder, SeanetEncoder
from openbark.config import EncodecConfig
from openbark.errors import AudioError, InputError

__all__ = ["Encodec", "n_codebooks_for_bandwidth"]


def n_codebooks_for_bandwidth(config: EncodecConfig, kbps: float) -> int:
    """Codebooks that fit a bandwidth of `kbps` kilobits per second, at least one (6 kbps is 8 at 24 kHz).

    Raises InputError for a bandwidth that is not one of the config's `target_bandwidths`.
    """
    if kbps not in config.target_bandwidths:
        legal = ", ".join(f"{bandwidth:g}" for bandwidth in config.target_bandwidths)
        raise InputError(f"codec: no bandwidth of {kbps} kbps in this model; allowed: {legal}")
    bits_per_second = math.log2(config.codebook_size) * math.ceil(config.frame_rate)
    return max(1, math.floor(1000 * kbps / bits_per_second))


class Encodec(nn.Module):
    """Waveforms to codes and back, in the dtype of the weights."""

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SeanetEncoder(config)
        self.quantizer = ResidualQuantizer(
            config.n_codebooks, config.codebook_size, config.codebook_dim
        )
        self.decoder = SeanetDecoder(config)

    def encode_latent(self, waveform: Tensor) -> Tensor:
        """Unquantised latent [B, F, D] of `waveform` [B, L] in [-1, 1], F = ceil(L / hop_length)."""
        if waveform.shape[-1] == 0:
            raise AudioError("codec: the waveform is empty; give at least one sample")
        latent: Tensor = self.encoder(waveform[:, None])
        return latent.transpose(1, 2)

    def encode(self, waveform: Tensor, n_codebooks: int | None = None) -> Tensor:
        """Codes [B, K, F] (int64) of `waveform` [B, L] with the first `n_codebooks` (all)."""
        return self.quantizer.encode(self.encode_latent(waveform), n_codebooks)

    def decode_latent(self, latent: Tensor) -> Tensor:
        """Waveform [B, F * hop_length] of `latent` [B, F, D]."""
        waveform: Tensor = self.decoder(latent.transpose(1, 2))
        return waveform[:, 0]

    def decode(self, codes: Tensor) -> Tensor:
        """Waveform [B, F * hop_length] of `codes` [B, K, F], 1 <= K <= n_codebooks."""
        if codes.shape[-1] == 0:
            raise InputError("codec: there are no frames to decode")
        return self.decode_latent(self.quantizer.decode(codes))
