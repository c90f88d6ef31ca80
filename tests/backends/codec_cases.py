"""Codecs of many shapes with random weights, in PyTorch: what tests of the compiled codecs and of streams share."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from openbark.config import CodecConfig, EncodecConfig, HarmonicCodecConfig, IstftCodecConfig

torch = pytest.importorskip("torch")

from openbark.backends.torch.encodec import Encodec  # noqa: E402
from openbark.backends.torch.harmonic import HarmonicCodec  # noqa: E402
from openbark.backends.torch.istft import IstftCodec  # noqa: E402

TINY_ENCODEC = EncodecConfig(
    hidden_size=8,
    num_filters=4,
    upsampling_ratios=(4, 3, 2),
    codebook_size=19,
    codebook_dim=8,
    sampling_rate=2400,
    target_bandwidths=(0.8, 2.0),
)
ENCODEC = {
    "tiny": TINY_ENCODEC,
    "not causal": replace(TINY_ENCODEC, use_causal_conv=False),
    "one filter": replace(TINY_ENCODEC, num_filters=2, pad_mode="replicate"),
    "dilated": replace(TINY_ENCODEC, num_residual_layers=3, pad_mode="constant"),
    "trimmed on both sides": replace(
        TINY_ENCODEC, trim_right_ratio=0.3, upsampling_ratios=(3, 5, 2), num_lstm_layers=1
    ),
    "group norm": replace(TINY_ENCODEC, norm_type="time_group_norm"),
    "identity shortcut": replace(TINY_ENCODEC, use_conv_shortcut=False, compress=1),
    "wide": replace(
        TINY_ENCODEC,
        sampling_rate=1000,
        num_filters=12,
        kernel_size=5,
        last_kernel_size=3,
        upsampling_ratios=(5, 2),
    ),
}
TINY_ISTFT = IstftCodecConfig(
    hop_length=48,
    n_fft=96,
    n_bins=33,
    n_mels=12,
    mel_n_fft=128,
    codebook_size=19,
    codebook_dim=6,
    n_codebooks=4,
    encoder_dim=12,
    encoder_layers=2,
    decoder_dim=20,
    decoder_layers=3,
)
ISTFT = {
    "tiny": TINY_ISTFT,
    "all bins, prime FFT sizes": replace(
        TINY_ISTFT, hop_length=62, n_fft=62, n_bins=32, mel_n_fft=2 * 37, kernel_size=5
    ),
    "four sub-frames": replace(TINY_ISTFT, hop_length=60, subframes=4, n_fft=90, n_bins=20),
    "one sub-frame": replace(TINY_ISTFT, subframes=1, n_fft=192, mlp_ratio=1, decoder_layers=1),
    "embedded": IstftCodecConfig(),
}
TINY_HARMONIC = HarmonicCodecConfig(
    hop_length=48,
    n_fft=64,
    n_bands=9,
    n_mels=8,
    mel_n_fft=64,
    pitch_n_fft=192,
    pitch_bins=20,
    codebook_size=19,
    codebook_dim=6,
    n_codebooks=4,
    encoder_dim=12,
    encoder_layers=2,
    decoder_dim=20,
    decoder_layers=3,
    filter_dim=10,
)
HARMONIC = {
    "tiny": TINY_HARMONIC,
    "prime FFT sizes": replace(
        TINY_HARMONIC,
        hop_length=56,
        subframes=2,
        n_fft=74,
        mel_n_fft=2 * 37,
        pitch_n_fft=2 * 101,
        pitch_first_bin=1,
        kernel_size=5,
        sampling_rate=16_000,
    ),
    "one sub-frame": replace(
        TINY_HARMONIC, subframes=1, n_fft=320, mlp_ratio=1, filter_layers=1, decoder_layers=1
    ),
    "no convolution": replace(TINY_HARMONIC, kernel_size=1, n_fft=250, filter_layers=3),
    "short windows": replace(
        TINY_HARMONIC, hop_length=400, n_fft=256, mel_n_fft=128, pitch_n_fft=400
    ),
    "default": HarmonicCodecConfig(),
}
Tensors = dict[str, NDArray[np.float32]]


@torch.no_grad()
def randomise(module: Any, seed: int) -> Any:
    """Weights that keep the size of a signal from layer to layer, so that every one of them counts."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if name.endswith("embed"):
            level = int(name.split(".")[-3])
            value.normal_(0.0, 0.7**level, generator=generator)
        elif value.ndim > 1:
            fan_in = value[0].numel()
            value.normal_(0.0, 1.2 / math.sqrt(fan_in), generator=generator)
        elif name.endswith("weight") or name.endswith("scale"):
            value.uniform_(0.5, 1.0, generator=generator)
        else:
            value.normal_(0.0, 0.2, generator=generator)
    return module.eval().requires_grad_(False)


def tensors_of(module: Any) -> Tensors:
    return {name: value.numpy() for name, value in module.state_dict().items()}


@cache
def encodec(config: EncodecConfig) -> tuple[Encodec, Tensors]:
    module = randomise(Encodec(config), 1)
    return module, tensors_of(module)


@cache
def istft(config: IstftCodecConfig) -> tuple[IstftCodec, Tensors]:
    module = randomise(IstftCodec(config), 2)
    return module, tensors_of(module)


@cache
def harmonic(config: HarmonicCodecConfig, voiced: float = 0.0) -> tuple[HarmonicCodec, Tensors]:
    """`voiced` is added to the voicing of every frame."""
    module = randomise(HarmonicCodec(config), 3)
    module.decoder.pitch_head.bias[1] += voiced
    # The phase adds up the rounding of the pitch: let it swing as far as speech does, not through its whole range.
    module.decoder.pitch_head.weight[0] *= 0.1
    # The response of a filter is short where its gains change slowly, as those of trained codecs do.
    module.decoder.filter_head.weight *= 0.5
    return module, tensors_of(module)


def codes_of(config: CodecConfig, frames: int) -> NDArray[np.int64]:
    random = np.random.default_rng(frames)
    return random.integers(0, config.codebook_size, (config.n_codebooks, frames))
