"""Codecs and the encoder to semantic tokens: frozen sizes, and the rates derived from them. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from openbark.config.checks import MOST_REPEATS, check_numbers, require

__all__ = [
    "CodecConfig",
    "EncodecConfig",
    "HarmonicCodecConfig",
    "IstftCodecConfig",
    "SemanticEncoderConfig",
]

_MOST_RATIOS = 16
_MOST_SAMPLES = 1 << 16
_MOST_HZ = 1_000_000
# Of the harmonic codec's pulse train.
_HIGHEST_PITCH_HZ = 600


def _check_rate(part: str, sampling_rate: int, least: int = 1) -> None:
    require(
        least <= sampling_rate <= _MOST_HZ,
        f"{part}sampling_rate is {sampling_rate}; allowed: {least}..{_MOST_HZ} Hz",
    )


def _check_frames(part: str, config: _Framed, names: tuple[str, ...]) -> None:
    """Bound the lengths that no tensor's shape confirms: a damaged file could ask for any amount of memory."""
    for name in ("hop_length", "mel_n_fft", *names):
        value = getattr(config, name)
        require(
            value <= _MOST_SAMPLES, f"{part}{name} is {value}; allowed: 1..{_MOST_SAMPLES} samples"
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
    """EnCodec as the Hugging Face `encodec` config names it (arXiv 2210.13438; parity C2)."""

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
        _check_rate("codec ", self.sampling_rate)
        require(self.codebook_size > 1, f"codec codebook_size is {self.codebook_size}; legal: 2..")
        ratios, bandwidths = self.upsampling_ratios, self.target_bandwidths
        require(
            0 < len(ratios) <= _MOST_RATIOS and min(ratios) > 0,
            f"codec upsampling_ratios are {list(ratios)[:9]}; legal: 1..{_MOST_RATIOS} positive numbers",
        )
        require(
            bool(bandwidths) and 0 <= self.n_codebooks <= MOST_REPEATS,
            f"codec target_bandwidths are {list(bandwidths)[:9]}; legal: kilobits a second, for at most "
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
        _check_rate("codec ", self.sampling_rate)
        _check_frames("codec ", self, ("n_fft",))
        require(
            self.hop_length % self.subframes == 0,
            f"codec hop_length {self.hop_length} must be a multiple of subframes {self.subframes}",
        )
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
        # At least one harmonic of every pitch lies below half the sampling rate.
        _check_rate("codec ", self.sampling_rate, 2 * _HIGHEST_PITCH_HZ)
        _check_frames("codec ", self, ("n_fft", "pitch_n_fft"))
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
        # The lowest bands are the narrowest, and their centres must be different bins of `band_spread`'s grid.
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
        _check_rate("semantic encoder ", self.sampling_rate)
        _check_frames("semantic encoder ", self, ())
        require(
            self.vocab_size % self.pitch_bins == 0,
            f"semantic encoder vocab_size {self.vocab_size} must be a multiple of pitch_bins {self.pitch_bins}",
        )
        require(
            self.hop_length % self.subframes == 0,
            f"semantic encoder hop_length {self.hop_length} must be a multiple of subframes {self.subframes}",
        )


_Framed = IstftCodecConfig | HarmonicCodecConfig | SemanticEncoderConfig
