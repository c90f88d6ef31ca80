"""What the numbers of a config are held to. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from openbark.errors import CheckpointCorruptError


def require(condition: bool, message: str) -> None:
    """Raise CheckpointCorruptError unless the condition holds."""
    if not condition:
        raise CheckpointCorruptError(f"config: {message}")


MOST_REPEATS = 1024
"""Layers or codebooks: a file that claims more is damaged, and believing it would cost its claim in memory."""


LARGEST = 1 << 24
"""No size, rate or token of a model is larger: a file that claims it is damaged, and would cost its claim in memory."""


def check_between(
    part: str, config: Any, low: float, high: float, names: Collection[str] | None = None
) -> None:
    """The numbers of a config, or those of `names`, are from `low` to `high`; NaN is not."""
    for item in fields(config):
        value = getattr(config, item.name)
        if type(value) in (int, float) and (names is None or item.name in names):
            shown = value if abs(value) < 1e12 or value != value else "out of all bounds"
            require(
                low <= value <= high, f"{part}{item.name} is {shown}; allowed: {low:g} to {high:g}"
            )


def check_numbers(part: str, config: Any, repeats: Collection[str], least: int = 1) -> None:
    """Whole numbers of a config are positive; those that say how often something is repeated are from
    `least` to MOST_REPEATS."""
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name in repeats:
            check_between(part, config, least, MOST_REPEATS, (item.name,))
        elif type(value) is int:
            require(value > 0, f"{part}{item.name} must be positive")
    check_between(part, config, 0, LARGEST)


_MOST_RATIOS = 16
_MOST_HOP = 1 << 20
_MOST_SAMPLES_A_SECOND = 768_000
_MOST_KILOBITS = 10_000.0
_MOST_DILATION = 1 << 16
# Windows and filter banks are made from these alone, before any weight is looked at.
_MOST_WINDOW, _MOST_MELS = 1 << 14, 1 << 10
# Of the harmonic codec's pulse train.
_HIGHEST_PITCH_HZ = 600


def _check_spectra(part: str, config: _Framed) -> None:
    check_between(part, config, 1, _MOST_SAMPLES_A_SECOND, ("sampling_rate",))
    check_between(part, config, 1, _MOST_HOP, ("hop_length",))
    check_between(part, config, 1, _MOST_WINDOW, ("n_fft", "mel_n_fft", "pitch_n_fft"))
    check_between(part, config, 1, _MOST_MELS, ("n_mels",))
    require(
        config.hop_length % config.subframes == 0,
        f"{part}hop_length {config.hop_length} must be a multiple of subframes {config.subframes}",
    )
    hop = config.hop_length // config.subframes
    require(
        config.mel_n_fft >= hop,
        f"{part}mel_n_fft is {config.mel_n_fft}; allowed: {hop}.., the samples between two spectra",
    )
    require(
        config.kernel_size % 2 == 1,
        f"{part}kernel_size is {config.kernel_size}; allowed: odd numbers, which keep the length",
    )


@dataclass(frozen=True, slots=True)
class EncodecConfig:
    """EnCodec as the Hugging Face `encodec` config names it (arXiv 2210.13438; docs/parity.md C2)."""

    model_type: str = "encodec"
    sampling_rate: int = 24_000
    audio_channels: int = 1
    target_bandwidths: tuple[float, ...] = (1.5, 3.0, 6.0, 12.0, 24.0)
    hidden_size: int = 128
    num_filters: int = 32
    num_residual_layers: int = 1
    upsampling_ratios: tuple[int, ...] = (8, 5, 4, 2)
    norm_type: str = "weight_norm"
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    dilation_growth_rate: int = 2
    use_causal_conv: bool = True
    pad_mode: str = "reflect"
    compress: int = 2
    num_lstm_layers: int = 2
    trim_right_ratio: float = 1.0
    codebook_size: int = 1024
    codebook_dim: int = 128
    use_conv_shortcut: bool = True
    normalize: bool = False

    def __post_init__(self) -> None:
        check_numbers("codec ", self, ("num_lstm_layers", "num_residual_layers"), least=0)
        require(
            self.codebook_size > 1, f"codec codebook_size is {self.codebook_size}; allowed: 2.."
        )
        check_between("codec ", self, 1, _MOST_SAMPLES_A_SECOND, ("sampling_rate",))
        check_between("codec ", self, 0, 1, ("trim_right_ratio",))
        ratios, bandwidths = self.upsampling_ratios, self.target_bandwidths
        require(
            0 < len(ratios) <= _MOST_RATIOS and min(ratios) > 0 and self.hop_length <= _MOST_HOP,
            f"codec upsampling_ratios are wrong; allowed: 1 to {_MOST_RATIOS} positive numbers, whose product is "
            f"at most {_MOST_HOP}",
        )
        require(
            self.dilation_growth_rate ** max(self.num_residual_layers - 1, 0) <= _MOST_DILATION,
            f"codec dilation_growth_rate {self.dilation_growth_rate} is too large for "
            f"{self.num_residual_layers} residual layers; allowed: dilations up to {_MOST_DILATION}",
        )
        require(
            all(0 <= each <= _MOST_KILOBITS for each in bandwidths)
            and bool(bandwidths)
            and 0 <= self.n_codebooks <= MOST_REPEATS,
            f"codec target_bandwidths are {list(bandwidths)[:9]}; allowed: kilobits a second, for at most "
            f"{MOST_REPEATS} codebooks",
        )

    @property
    def hop_length(self) -> int:
        """Samples per codec frame."""
        return math.prod(self.upsampling_ratios)

    @property
    def frame_rate(self) -> float:
        """Codec frames per second."""
        return self.sampling_rate / self.hop_length

    @property
    def n_codebooks(self) -> int:
        """Residual levels stored in a checkpoint: those that the highest bandwidth needs."""
        bits = math.ceil(math.log2(self.codebook_size))
        return int(1000 * self.target_bandwidths[-1] // (math.ceil(self.frame_rate) * bits))


@dataclass(frozen=True, slots=True)
class IstftCodecConfig:
    """The embedded model's codec: ConvNeXt encoder and decoder around an inverse STFT (Vocos,
    arXiv 2306.00814) and a residual quantiser.

    One codec frame is `hop_length` samples and holds `subframes` STFT frames. Only the lowest `n_bins`
    of `n_fft // 2 + 1` bins are predicted: the output ends at `bandwidth_hz` because the training
    material does.
    """

    model_type: str = "istft"
    sampling_rate: int = 24_000
    hop_length: int = 480
    subframes: int = 2
    n_fft: int = 960
    n_bins: int = 322
    n_mels: int = 80
    mel_n_fft: int = 1024
    codebook_size: int = 1024
    codebook_dim: int = 32
    n_codebooks: int = 8
    encoder_dim: int = 112
    encoder_layers: int = 4
    decoder_dim: int = 208
    decoder_layers: int = 6
    mlp_ratio: int = 3
    kernel_size: int = 7

    def __post_init__(self) -> None:
        check_numbers("codec ", self, ("n_codebooks", "encoder_layers", "decoder_layers"))
        _check_spectra("codec ", self)
        require(
            self.n_fft % self.stft_hop == 0 and self.n_fft >= 2 * self.stft_hop,
            f"codec n_fft is {self.n_fft}; allowed: multiples of the {self.stft_hop} samples between two STFT "
            f"frames, from {2 * self.stft_hop} on",
        )
        require(
            self.n_bins <= self.n_fft // 2 + 1,
            f"codec n_bins {self.n_bins} must be at most n_fft/2+1 = {self.n_fft // 2 + 1}",
        )

    @property
    def frame_rate(self) -> float:
        """Codec frames per second."""
        return self.sampling_rate / self.hop_length

    @property
    def stft_hop(self) -> int:
        """Samples between two STFT frames."""
        return self.hop_length // self.subframes

    @property
    def bandwidth_hz(self) -> float:
        """Highest frequency the codec can produce."""
        return (self.n_bins - 1) * self.sampling_rate / self.n_fft


@dataclass(frozen=True, slots=True)
class HarmonicCodecConfig:
    """A codec whose decoder filters two sources: a pulse train at the pitch it predicts, and white noise.

    One codec frame is `hop_length` samples and holds `subframes` filter frames. `n_bands` log gains on the mel scale
    describe each filter; it is minimum phase and at most `n_fft` samples less one window long. `pitch_bins`
    magnitudes of a `pitch_n_fft`-point spectrum, from bin `pitch_first_bin` on, show the encoder the harmonics.
    """

    model_type: str = "harmonic"
    sampling_rate: int = 24_000
    hop_length: int = 480
    subframes: int = 4
    n_fft: int = 512
    n_bands: int = 80
    n_mels: int = 64
    mel_n_fft: int = 512
    pitch_n_fft: int = 2048
    pitch_first_bin: int = 4
    pitch_bins: int = 84
    codebook_size: int = 1024
    codebook_dim: int = 48
    n_codebooks: int = 8
    encoder_dim: int = 192
    encoder_layers: int = 4
    decoder_dim: int = 256
    decoder_layers: int = 6
    filter_dim: int = 96
    filter_layers: int = 2
    mlp_ratio: int = 3
    kernel_size: int = 7

    def __post_init__(self) -> None:
        layers = ("encoder_layers", "decoder_layers", "filter_layers")
        check_numbers("codec ", self, ("n_codebooks", *layers))
        _check_spectra("codec ", self)
        # At least one harmonic of every pitch lies below half the sampling rate.
        check_between(
            "codec ", self, 2 * _HIGHEST_PITCH_HZ, _MOST_SAMPLES_A_SECOND, ("sampling_rate",)
        )
        require(
            self.hop_length % (2 * self.subframes) == 0,
            f"codec hop_length {self.hop_length} must be a multiple of twice subframes {self.subframes}",
        )
        require(
            2 * self.filter_hop < self.n_fft,
            f"codec n_fft {self.n_fft} must exceed two filter frames ({2 * self.filter_hop} samples)",
        )
        require(
            self.pitch_n_fft >= self.hop_length,
            f"codec pitch_n_fft is {self.pitch_n_fft}; allowed: {self.hop_length}.., the samples of a frame",
        )
        require(
            self.pitch_first_bin + self.pitch_bins <= self.pitch_n_fft // 2 + 1,
            f"codec pitch bins {self.pitch_first_bin} + {self.pitch_bins} exceed the "
            f"{self.pitch_n_fft // 2 + 1} bins of a {self.pitch_n_fft}-point spectrum",
        )
        # The lowest bands are the narrowest, and their centres must be different bins of the grid that finds them.
        top = math.log10(1.0 + self.sampling_rate / 1400.0)
        lowest_hz = 700.0 * (10.0 ** (top / (self.n_bands + 1)) - 1.0)
        require(
            lowest_hz > self.sampling_rate / (8 * self.n_fft),
            f"codec n_bands {self.n_bands} are too many for an n_fft of {self.n_fft}; "
            "use fewer bands or a longer filter",
        )

    @property
    def frame_rate(self) -> float:
        """Codec frames per second."""
        return self.sampling_rate / self.hop_length

    @property
    def filter_hop(self) -> int:
        """Samples between two filter frames."""
        return self.hop_length // self.subframes


CodecConfig = EncodecConfig | IstftCodecConfig | HarmonicCodecConfig


@dataclass(frozen=True, slots=True)
class SemanticEncoderConfig:
    """The network that turns a waveform into semantic tokens, for checkpoints that carry one.

    A semantic token is `unit * pitch_bins + pitch_bin`; `pitch_bins=1` is a plain vocabulary.
    """

    sampling_rate: int = 24_000
    hop_length: int = 480
    subframes: int = 2
    n_mels: int = 80
    mel_n_fft: int = 1024
    dim: int = 96
    n_layer: int = 4
    mlp_ratio: int = 2
    kernel_size: int = 7
    vocab_size: int = 492
    pitch_bins: int = 4

    def __post_init__(self) -> None:
        check_numbers("semantic encoder ", self, ("n_layer",))
        _check_spectra("semantic encoder ", self)
        require(
            self.vocab_size % self.pitch_bins == 0,
            f"semantic encoder vocab_size {self.vocab_size} must be a multiple of pitch_bins {self.pitch_bins}",
        )


_Framed = IstftCodecConfig | HarmonicCodecConfig | SemanticEncoderConfig
