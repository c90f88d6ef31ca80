"""Codec checkpoints as the flat sizes and arrays that the compiled codecs are built from.

The other side is `src/codec_description.h`: both walk a network in the same order, and the lengths are
checked there. Weights are turned here into the order the kernels read: channels last, so that the inputs
of one output lie next to each other. Knows no library and computes no audio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from openbark.backends.native.spectra import (
    hann_window,
    mel_filterbank,
    minimum_phase_weights,
)
from openbark.config import (
    EncodecConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
)
from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError

Tensors = Mapping[str, NDArray[np.float32]]
"""Arrays by name, as `Checkpoint.tensors` gives them."""

_PAD_MODES = ("constant", "reflect", "replicate")  # in the order of PadMode in src/codec_conv.h
# As in `openbark.backends.torch.semantic_encoder`.
_SEMANTIC_LIMIT_HZ = 8000.0
_SEMANTIC_UPPER_LAYERS = 2
# As in `openbark.backends.torch.harmonic`.
_HARMONIC_BIAS, _NOISE_BIAS = -3.0, -5.0


class CodecKind(IntEnum):
    """The networks of `src/codec.h`."""

    ENCODEC_DECODER = 0
    ENCODEC_ENCODER = 1
    ISTFT_DECODER = 2
    ISTFT_ENCODER = 3
    SEMANTIC_ENCODER = 4
    HARMONIC_DECODER = 5
    HARMONIC_ENCODER = 6


@dataclass
class Layout:
    """What one network is built from, and the reader of its tensors.

    `tables` are the arrays among `arrays` that the network goes on reading; the rest it copies.
    """

    kind: CodecKind
    tensors: Tensors = field(repr=False)
    sizes: list[int] = field(default_factory=list)
    arrays: list[NDArray[np.float32]] = field(default_factory=list)
    tables: list[NDArray[np.float32]] = field(default_factory=list)

    def tensor(self, name: str, *shape: int) -> NDArray[np.float32]:
        """One tensor of the checkpoint. Raises CheckpointCorruptError when it is missing or misshapen."""
        if name not in self.tensors:
            raise CheckpointCorruptError(f"codec weights: {name} is missing")
        array = np.asarray(self.tensors[name], dtype=np.float32)
        if array.shape != shape:
            raise CheckpointCorruptError(
                f"codec weights: {name} has shape {list(array.shape)}, the config says {list(shape)}"
            )
        return array

    def add(self, *arrays: NDArray[np.floating]) -> None:
        """Append arrays as contiguous float32."""
        self.arrays += [np.ascontiguousarray(array, dtype=np.float32) for array in arrays]

    def linear(self, name: str, outputs: int, inputs: int) -> None:
        """Append weight and bias."""
        self.add(self.tensor(f"{name}.weight", outputs, inputs))
        self.add(self.tensor(f"{name}.bias", outputs))

    def affine(self, name: str, width: int) -> None:
        """Append weight and bias of a norm."""
        self.add(self.tensor(f"{name}.weight", width), self.tensor(f"{name}.bias", width))

    def codebooks(self, count: int, size: int, dim: int) -> None:
        """Append the tables of the quantiser."""
        names = (f"quantizer.layers.{k}.codebook.embed" for k in range(count))
        self.add(*(self.tensor(name, size, dim) for name in names))
        self.tables += self.arrays[-count:]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckpointUnsupportedError(
            f"codec: the compiled engine cannot run {message}; use the torch backend"
        )


@dataclass
class _Seanet:
    """Appends the layers of SEANet one after another; `index` counts those with and without weights."""

    layout: Layout
    config: EncodecConfig
    side: str
    index: int = 0

    def next_name(self) -> str:
        name = f"{self.side}.layers.{self.index}"
        self.index += 1
        return name

    def _finish(self, name: str, bias: NDArray[np.floating], outputs: int) -> None:
        self.layout.add(bias)
        if self.config.norm_type == "time_group_norm":
            self.layout.affine(f"{name}.norm", outputs)

    def convolution(self, name: str, inputs: int, outputs: int, kernel: int) -> None:
        weight = self.layout.tensor(f"{name}.conv.weight", outputs, inputs, kernel)
        self.layout.add(weight.transpose(0, 2, 1))
        self._finish(name, self.layout.tensor(f"{name}.conv.bias", outputs), outputs)

    def transposed(self, name: str, inputs: int, outputs: int, ratio: int) -> None:
        """[in, out, 2 * ratio] as [ratio, out, 2, in], the older input first.

        Step j of an input's stride is made of kernel step j of that input and j + ratio of the one before.
        """
        weight = self.layout.tensor(f"{name}.conv.weight", inputs, outputs, 2 * ratio)
        taps = weight.reshape(inputs, outputs, 2, ratio)[:, :, ::-1]
        self.layout.add(taps.transpose(3, 1, 2, 0))
        bias = self.layout.tensor(f"{name}.conv.bias", outputs)
        self._finish(name, np.tile(bias, ratio), outputs)

    def residual_blocks(self, width: int) -> None:
        narrow = width // self.config.compress
        for _ in range(self.config.num_residual_layers):
            name = self.next_name()
            kernel = self.config.residual_kernel_size
            self.convolution(f"{name}.block.1", width, narrow, kernel)
            self.convolution(f"{name}.block.3", narrow, width, 1)
            if self.config.use_conv_shortcut:
                self.convolution(f"{name}.shortcut", width, width, 1)

    def lstm(self, width: int) -> None:
        """Hidden weights with the four gate rows of a unit together; both biases added."""
        name = self.next_name()
        for i in range(self.config.num_lstm_layers):
            rows = 4 * width
            sides = [
                (
                    self.layout.tensor(f"{name}.lstm.weight_{side}_l{i}", rows, width),
                    self.layout.tensor(f"{name}.lstm.bias_{side}_l{i}", rows),
                )
                for side in ("ih", "hh")
            ]
            hidden = sides[1][0].reshape(4, width, width).transpose(1, 0, 2)
            self.layout.add(sides[0][0], sides[0][1] + sides[1][1], hidden)


def check_encodec(config: EncodecConfig) -> None:
    """Raise CheckpointUnsupportedError for an EnCodec that cannot be run here; reads no weights."""
    _require(config.audio_channels == 1, f"{config.audio_channels} audio channels")
    _require(config.pad_mode in _PAD_MODES, f"pad_mode {config.pad_mode!r}")
    _require(config.hidden_size == config.codebook_dim, "hidden_size other than codebook_dim")


def _encodec(kind: CodecKind, config: EncodecConfig, tensors: Tensors) -> Layout:
    check_encodec(config)
    layout = Layout(kind, tensors)
    layout.sizes += [
        config.hidden_size,
        config.num_filters,
        config.num_residual_layers,
        config.kernel_size,
        config.last_kernel_size,
        config.residual_kernel_size,
        config.dilation_growth_rate,
        int(config.use_causal_conv),
        _PAD_MODES.index(config.pad_mode),
        config.compress,
        config.num_lstm_layers,
        int(config.use_conv_shortcut),
        int(config.norm_type == "time_group_norm"),
        len(config.upsampling_ratios),
    ]
    for ratio in config.upsampling_ratios:
        # The kernel overhangs its stride by `ratio` steps.
        right = math.ceil(ratio * config.trim_right_ratio) if config.use_causal_conv else ratio // 2
        layout.sizes += [ratio, ratio - right]
    layout.sizes += [config.codebook_size, config.n_codebooks]
    layout.codebooks(config.n_codebooks, config.codebook_size, config.codebook_dim)
    return layout


def encodec_decoder(config: EncodecConfig, tensors: Tensors) -> Layout:
    """Codes to waveform. Raises CheckpointUnsupportedError, CheckpointCorruptError (all functions here)."""
    layout = _encodec(CodecKind.ENCODEC_DECODER, config, tensors)
    net = _Seanet(layout, config, "decoder")
    width = config.num_filters * 2 ** len(config.upsampling_ratios)
    net.convolution(net.next_name(), config.hidden_size, width, config.kernel_size)
    net.lstm(width)
    for ratio in config.upsampling_ratios:
        net.next_name()
        net.transposed(net.next_name(), width, width // 2, ratio)
        width //= 2
        net.residual_blocks(width)
    net.next_name()
    net.convolution(net.next_name(), width, 1, config.last_kernel_size)
    return layout


def encodec_encoder(config: EncodecConfig, tensors: Tensors) -> Layout:
    """Waveform to codes."""
    layout = _encodec(CodecKind.ENCODEC_ENCODER, config, tensors)
    net = _Seanet(layout, config, "encoder")
    width = config.num_filters
    net.convolution(net.next_name(), 1, width, config.kernel_size)
    for ratio in reversed(config.upsampling_ratios):
        net.residual_blocks(width)
        net.next_name()
        net.convolution(net.next_name(), width, 2 * width, 2 * ratio)
        width *= 2
    net.lstm(width)
    net.next_name()
    net.convolution(net.next_name(), width, config.hidden_size, config.last_kernel_size)
    return layout


def _convnext_block(layout: Layout, name: str, dim: int, hidden: int, kernel: int) -> None:
    layout.add(layout.tensor(f"{name}.depthwise.weight", dim, 1, kernel)[:, 0].T)
    layout.add(layout.tensor(f"{name}.depthwise.bias", dim))
    layout.affine(f"{name}.norm", dim)
    layout.linear(f"{name}.up", hidden, dim)
    # The layer scale multiplies the outputs of `down`, hence its rows.
    scale = layout.tensor(f"{name}.scale", dim)
    layout.add(layout.tensor(f"{name}.down.weight", dim, hidden) * scale[:, None])
    layout.add(layout.tensor(f"{name}.down.bias", dim) * scale)


def _convnext_stack(
    layout: Layout, name: str, inputs: int, dim: int, n_layer: int, hidden: int, kernel: int
) -> None:
    _require(kernel % 2 == 1, f"an even kernel_size ({kernel})")
    layout.add(layout.tensor(f"{name}.embed.weight", dim, inputs, kernel).transpose(0, 2, 1))
    layout.add(layout.tensor(f"{name}.embed.bias", dim))
    layout.affine(f"{name}.norm", dim)
    for i in range(n_layer):
        _convnext_block(layout, f"{name}.layers.{i}", dim, hidden, kernel)
    layout.affine(f"{name}.final_norm", dim)


def _log_mel(
    layout: Layout,
    config: IstftCodecConfig | HarmonicCodecConfig | SemanticEncoderConfig,
    limit_hz: float,
) -> None:
    _require(config.mel_n_fft % 2 == 0, f"an odd mel_n_fft ({config.mel_n_fft})")
    hop = config.hop_length // config.subframes
    layout.sizes += [hop, config.subframes, config.n_mels, config.mel_n_fft]
    bank = mel_filterbank(config.sampling_rate, config.mel_n_fft, config.n_mels, limit_hz)
    layout.add(hann_window(config.mel_n_fft), bank)


def _quantizer(layout: Layout, config: IstftCodecConfig | HarmonicCodecConfig) -> None:
    layout.sizes += [config.codebook_size, config.codebook_dim, config.n_codebooks]
    layout.codebooks(config.n_codebooks, config.codebook_size, config.codebook_dim)


def istft_decoder(config: IstftCodecConfig, tensors: Tensors) -> Layout:
    """Codes to waveform."""
    _require(config.n_fft % 2 == 0, f"an odd n_fft ({config.n_fft})")
    layout = Layout(CodecKind.ISTFT_DECODER, tensors)
    _quantizer(layout, config)
    layout.sizes += [config.stft_hop, config.subframes, config.n_bins, config.n_fft]
    layout.add(hann_window(config.n_fft))
    dim, kernel = config.decoder_dim, config.kernel_size
    layout.sizes += [dim, config.decoder_layers, config.mlp_ratio, kernel]
    hidden = dim * config.mlp_ratio
    _convnext_stack(
        layout, "decoder.stack", config.codebook_dim, dim, config.decoder_layers, hidden, kernel
    )
    layout.linear("decoder.head", config.subframes * 2 * config.n_bins, dim)
    return layout


def istft_encoder(config: IstftCodecConfig, tensors: Tensors) -> Layout:
    """Waveform to codes."""
    layout = Layout(CodecKind.ISTFT_ENCODER, tensors)
    _quantizer(layout, config)
    _log_mel(layout, config, config.bandwidth_hz)
    dim, kernel = config.encoder_dim, config.kernel_size
    layout.sizes += [dim, config.encoder_layers, config.mlp_ratio, kernel]
    features, hidden = config.n_mels * config.subframes, dim * config.mlp_ratio
    _convnext_stack(layout, "encoder.stack", features, dim, config.encoder_layers, hidden, kernel)
    layout.linear("encoder.project", config.codebook_dim, dim)
    return layout


def harmonic_decoder(config: HarmonicCodecConfig, tensors: Tensors) -> Layout:
    """Codes to waveform."""
    _require(config.n_fft % 2 == 0, f"an odd n_fft ({config.n_fft})")
    layout = Layout(CodecKind.HARMONIC_DECODER, tensors)
    _quantizer(layout, config)
    layout.sizes += [config.sampling_rate, config.filter_hop, config.subframes]
    layout.sizes += [config.n_bands, config.n_fft]
    response = minimum_phase_weights(config)
    layout.add(hann_window(2 * config.filter_hop), response, np.zeros(len(response)))
    dim, kernel, ratio = config.decoder_dim, config.kernel_size, config.mlp_ratio
    layout.sizes += [dim, config.decoder_layers, ratio, kernel]
    _convnext_stack(
        layout,
        "decoder.stack",
        config.codebook_dim,
        dim,
        config.decoder_layers,
        dim * ratio,
        kernel,
    )
    layout.linear("decoder.pitch_head", 2, dim)
    width = config.filter_dim
    layout.sizes += [width, config.filter_layers, ratio, kernel]
    layout.linear("decoder.expand", config.subframes * width, dim)
    for i in range(config.filter_layers):
        _convnext_block(layout, f"decoder.filters.{i}", width, width * ratio, kernel)
    layout.affine("decoder.filter_norm", width)
    n_gains = 2 * config.n_bands
    layout.add(layout.tensor("decoder.filter_head.weight", n_gains, width))
    offset = np.repeat(np.array([_HARMONIC_BIAS, _NOISE_BIAS]), config.n_bands)
    layout.add(layout.tensor("decoder.filter_head.bias", n_gains) + offset)
    return layout


def harmonic_encoder(config: HarmonicCodecConfig, tensors: Tensors) -> Layout:
    """Waveform to codes."""
    _require(config.pitch_n_fft % 2 == 0, f"an odd pitch_n_fft ({config.pitch_n_fft})")
    layout = Layout(CodecKind.HARMONIC_ENCODER, tensors)
    _quantizer(layout, config)
    _log_mel(layout, config, config.sampling_rate / 2)
    layout.sizes += [config.hop_length, config.pitch_first_bin, config.pitch_bins]
    layout.sizes += [config.pitch_n_fft]
    layout.add(hann_window(config.pitch_n_fft))
    dim, kernel = config.encoder_dim, config.kernel_size
    layout.sizes += [dim, config.encoder_layers, config.mlp_ratio, kernel]
    features = config.n_mels * config.subframes + config.pitch_bins
    hidden = dim * config.mlp_ratio
    _convnext_stack(layout, "encoder.stack", features, dim, config.encoder_layers, hidden, kernel)
    layout.linear("encoder.project", config.codebook_dim, dim)
    return layout


def semantic_encoder(config: SemanticEncoderConfig, tensors: Tensors) -> Layout:
    """Waveform to semantic tokens."""
    layout = Layout(CodecKind.SEMANTIC_ENCODER, tensors)
    _log_mel(layout, config, min(_SEMANTIC_LIMIT_HZ, config.sampling_rate / 2))
    dim, kernel = config.dim, config.kernel_size
    n_lower = max(1, config.n_layer - _SEMANTIC_UPPER_LAYERS)
    n_upper = config.n_layer - n_lower
    n_units = config.vocab_size // config.pitch_bins
    layout.sizes += [dim, n_lower, n_upper, config.mlp_ratio, kernel, n_units, config.pitch_bins]
    features, hidden = config.n_mels * config.subframes, dim * config.mlp_ratio
    _convnext_stack(layout, "lower", features, dim, n_lower, hidden, kernel)
    layout.linear("summary", dim, 2 * dim)
    for i in range(n_upper):
        _convnext_block(layout, f"upper.{i}", dim, hidden, kernel)
    layout.affine("final_norm", dim)
    layout.linear("unit_head", n_units, dim)
    layout.linear("pitch_head", config.pitch_bins, dim)
    return layout
