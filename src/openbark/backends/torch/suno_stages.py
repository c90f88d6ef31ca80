"""A checkpoint's stage as the network that Suno's scripts expect, and a backend that computes with its weights.

Both hold the same layers: what a script loads, trains or moves in the network is what speaks. The codec has
the interface of the `encodec` package, which Suno's `load_codec_model` returns. Knows no sampling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from openbark.backends.torch.backend import TorchBackend
from openbark.backends.torch.codec_network import CodecNetwork, CodecQuantizer
from openbark.backends.torch.suno_networks import GPT, FineGPT
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.layouts.suno_names import to_suno
from openbark.config import BarkConfig, CodecConfig, EncodecConfig
from openbark.errors import InputError, ParamError
from openbark.stages.sampling import Stage

_BANDWIDTH = 6.0
_BANDWIDTHS = (1.5, 3.0, 6.0, 12.0, 24.0)


class _Quantizer(CodecQuantizer):
    def __init__(self, config: CodecConfig) -> None:
        super().__init__(config)
        self.n_q = config.n_codebooks
        self.bins = config.codebook_size
        self.dimension = config.codebook_dim

    def encode(self, x: Tensor, frame_rate: float, bandwidth: float | None = None) -> Tensor:
        """Codes [K, B, F] of a latent [B, D, F] at a bandwidth in kbit/s, with all codebooks for None."""
        return self.codes_of(x, self.n_codebooks_of(bandwidth))


class SunoCodec(CodecNetwork):
    """`encodec.EncodecModel` as scripts call it, over either codec."""

    channels = 1
    normalize = False
    segment = None

    def __init__(self, config: CodecConfig) -> None:
        super().__init__(config, _Quantizer)
        self.sample_rate = config.sampling_rate
        self.frame_rate = config.frame_rate
        self.bits_per_codebook = int(math.log2(config.codebook_size))
        own = config.target_bandwidths if isinstance(config, EncodecConfig) else _BANDWIDTHS
        self.target_bandwidths = list(own)
        self.bandwidth = _BANDWIDTH

    def set_target_bandwidth(self, bandwidth: float) -> None:
        """Encode with the codebooks that fit a bandwidth in kbit/s. Raises ParamError for others than
        `target_bandwidths`."""
        if bandwidth not in self.target_bandwidths:
            allowed = ", ".join(map(str, self.target_bandwidths))
            raise ParamError(f"bandwidth is {bandwidth}; allowed: {allowed}")
        self.bandwidth = bandwidth

    def encode(self, x: Tensor) -> list[tuple[Tensor, None]]:
        """One frame, codes [B, K, F] without a scale, of a waveform [B, 1, L]. Raises InputError for other
        shapes."""
        return [(self.codes_of(x, self.quantizer.n_codebooks_of(self.bandwidth)), None)]

    def decode(self, encoded_frames: Sequence[tuple[Tensor, Any]]) -> Tensor:
        """Waveform [B, 1, L] of what `encode` returned. Raises InputError for anything else."""
        if not isinstance(encoded_frames, (list, tuple)) or len(encoded_frames) != 1:
            raise InputError(
                "encoded_frames must be a list of one (codes, None), as encode returns it"
            )
        return self.waveform_of(encoded_frames[0][0])

    def forward(self, x: Tensor) -> Tensor:
        """A waveform [B, 1, L] through the codec and back."""
        return self.decode(self.encode(x))[:, :, : x.shape[-1]]


class _BackendCodec(nn.Module):
    """A `SunoCodec` behind the interface of the backend's codecs."""

    def __init__(self, network: SunoCodec) -> None:
        super().__init__()
        self.network = network

    def encode(self, waveform: Tensor, n_codebooks: int) -> Tensor:
        """Waveform [B, L] -> codes [B, K, F]."""
        return self.network.codes_of(waveform[:, None], n_codebooks)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, F] -> waveform [B, L]."""
        return self.network.waveform_of(codes)[:, 0]


def read_stage(checkpoint: Checkpoint, stage: str, device: str) -> nn.Module:
    """The network of "text", "coarse", "fine" or "codec" in evaluation mode, its weights open to training."""
    config = checkpoint.config
    if stage == "codec":
        codec = SunoCodec(config.codec)
        codec.load_state_dict(_state(checkpoint, "codec_model."))
        return codec.to(device).eval()
    network: GPT | FineGPT
    if stage == "fine":
        state = {to_suno(name): t for name, t in _state(checkpoint, "fine_acoustics.").items()}
        for k in range(config.fine.n_codes_given, config.fine.n_codes_total):
            head = state[f"transformer.wtes.{k - config.fine.n_codes_given + 1}.weight"]
            state[f"lm_heads.{k - config.fine.n_codes_given}.weight"] = head
        network = FineGPT(config.fine)
    else:
        prefix = "semantic." if stage == "text" else "coarse_acoustics."
        state = {to_suno(name): tensor for name, tensor in _state(checkpoint, prefix).items()}
        network = GPT(config.semantic if stage == "text" else config.coarse)
        network.n_summed = config.semantic_rules.max_text_tokens
    network.load_state_dict(state)
    return network.to(device).eval()


def _state(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    arrays = checkpoint.tensors(prefix)
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def whole_backend(networks: Mapping[str, Any], config: BarkConfig) -> TorchBackend:
    """A backend that computes all stages with the layers of the networks of "text", "coarse", "fine" and
    "codec"."""
    causal = {
        Stage.SEMANTIC: networks["text"].as_stage(),
        Stage.COARSE: networks["coarse"].as_stage(),
    }
    codec = _BackendCodec(networks["codec"])
    return TorchBackend(config, causal, networks["fine"].as_stage(), codec)


def backend_of(network: nn.Module, stage: str, config: BarkConfig) -> TorchBackend:
    """A backend that computes `stage` with the layers of a network. `config` has the rules; the sizes are the
    network's. Raises ParamError for a network of another kind."""
    if isinstance(network, SunoCodec) and stage == "codec":
        with_codec = replace(config, codec=network.config)
        return TorchBackend(with_codec, {}, None, _BackendCodec(network))
    if isinstance(network, FineGPT) and stage == "fine":
        fine = network.as_stage()
        return TorchBackend(replace(config, fine=fine.config), {}, fine, None)
    if isinstance(network, GPT) and stage in ("text", "coarse"):
        causal = network.as_stage()
        if stage == "text":
            both = replace(config, semantic=causal.config)
            return TorchBackend(both, {Stage.SEMANTIC: causal}, None, None)
        return TorchBackend(
            replace(config, coarse=causal.config), {Stage.COARSE: causal}, None, None
        )
    raise ParamError(
        f"a {type(network).__name__} is not the {stage} network; load one with load_model or load_codec_model"
    )
