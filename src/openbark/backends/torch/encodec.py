"""EnCodec (arXiv 2210.13438): SEANet encoder and decoder around a residual quantiser.

One channel; the codes carry no scale, so
configs that normalise the audio are refused when a checkpoint is read. Weights are plain: weight norm is
folded by `openbark.checkpoints`. Knows no sampling and no chunks.
"""

from __future__ import annotations

import math

from torch import Tensor

from openbark.backends.torch.residual import ResidualCodec
from openbark.backends.torch.seanet import SeanetDecoder, SeanetEncoder
from openbark.config import EncodecConfig
from openbark.errors import InputError


def n_codebooks_for_bandwidth(config: EncodecConfig, kbps: float) -> int:
    """Codebooks that fit a bandwidth of `kbps` kilobits per second, at least one (6 kbps is 8 at 24 kHz).

    Raises InputError for a bandwidth that is not one of the config's `target_bandwidths`.
    """
    if kbps not in config.target_bandwidths:
        allowed = ", ".join(f"{bandwidth:g}" for bandwidth in config.target_bandwidths)
        raise InputError(f"codec: no bandwidth of {kbps} kbps in this model; allowed: {allowed}")
    bits_per_second = math.log2(config.codebook_size) * math.ceil(config.frame_rate)
    return max(1, math.floor(1000 * kbps / bits_per_second))


class Encodec(ResidualCodec):
    """Waveforms to codes and back, in the dtype of the weights."""

    config: EncodecConfig
    decoder: SeanetDecoder

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__(config, SeanetEncoder(config), SeanetDecoder(config))

    def encode_latent(self, waveform: Tensor) -> Tensor:
        """As of every codec; SEANet has channels before time."""
        return super().encode_latent(waveform[:, None]).transpose(1, 2)

    def decode_latent(self, latent: Tensor) -> Tensor:
        """As of every codec; SEANet has channels before time."""
        return super().decode_latent(latent.transpose(1, 2))[:, 0]
