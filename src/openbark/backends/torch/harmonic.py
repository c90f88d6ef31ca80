"""The harmonic codec: ConvNeXt networks that control a pulse train and white noise.

The decoder predicts pitch and voicing once per codec frame, and two filters (80 log gains each) for every 5 ms. The
filters are applied to a band-limited pulse train at that pitch, and to white noise. A network that writes spectra blurs
harmonics unless an adversary corrects it; here they are exact by construction.

Framing. Filter frame ``s`` is centred on sample ``s*hop + hop//2`` and reads ``2*hop`` samples under a periodic Hann
window; neighbouring windows add up to 1. Each windowed piece is convolved with its frame's minimum-phase filter
(``n_fft`` points, zero-padded, so the convolution is linear as long as the response is short) and the results are
added. Codec frame ``f`` holds the filter frames ``f*subframes ..``. The encoder's log-mel frames have the same
centres (see `convnext`).

Pitch. ``log f0`` and voicing are interpolated linearly between frame centres; the phase of the pulse train is the sum
of f0 from the first sample on, in double precision, whether or not a frame is voiced. So every sample depends on its
neighbouring frames and on one number, the phase, and a stream equals the whole clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.backends.torch.convnext import (
    ConvNeXtBlock,
    ConvNeXtStack,
    LogMelFrames,
    mel_filterbank,
)
from openbark.backends.torch.istft import overlap_add
from openbark.backends.torch.residual import ResidualCodec
from openbark.config import HarmonicCodecConfig

MIDDLE_HZ = 150.0
"""The pitch head predicts log(f0 / MIDDLE_HZ)."""
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 600.0
# Bring the logarithm of a spectrum's magnitudes, less its mean, near unit spread.
_PITCH_SCALE = 2.0
_FLOOR = 1e-4
# Gains at the start of training: an untrained decoder is quiet, and noise quieter than pulses.
_HARMONIC_BIAS, _NOISE_BIAS = -3.0, -5.0
# exp of it is louder than full scale; the bound keeps broken codes finite.
_MOST_LOG_GAIN = 6.0


@dataclass(frozen=True)
class Controls:
    """What the decoder's network says, before any audio.

    Attributes:
        harmonic, noise: log gains [B, F * subframes, n_bands].
        log_f0: log(f0 / MIDDLE_HZ) [B, F].
        voicing: logit [B, F]; positive is voiced.
    """

    harmonic: Tensor
    noise: Tensor
    log_f0: Tensor
    voicing: Tensor


def white_noise(start: int, count: int) -> Tensor:
    """Samples ``start .. start + count`` [count] of a fixed white noise of unit power, uniformly distributed.

    A hash of the sample's index (the finalizer of splitmix64), so that any piece can be made alone.
    """
    with np.errstate(over="ignore"):
        x = np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    unit = (x >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return torch.from_numpy((unit - np.float32(0.5)) * np.float32(math.sqrt(12.0)))


def between_frames(values: Tensor, hop: int) -> Tensor:
    """Values ``[B, F]`` at frame centres, interpolated linearly to samples ``[B, F * hop]``; edges are held."""
    held = torch.cat([values[:, :1], values, values[:, -1:]], 1)
    position = (torch.arange(hop, device=values.device, dtype=values.dtype) + 0.5) / hop
    # The first half of a frame lies between the previous centre and its own, the second after it.
    before, own, after = held[:, :-2, None], held[:, 1:-1, None], held[:, 2:, None]
    left = before + (own - before) * (position + 0.5)
    right = own + (after - own) * (position - 0.5)
    return torch.where(position < 0.5, left, right).flatten(1)


def pitch_at_samples(log_f0: Tensor, hop: int) -> Tensor:
    """Hz ``[B, F * hop]``, double, of log(f0 / MIDDLE_HZ) ``[B, F]``."""
    low, high = math.log(_LOWEST_HZ / MIDDLE_HZ), math.log(_HIGHEST_HZ / MIDDLE_HZ)
    return MIDDLE_HZ * torch.exp(between_frames(log_f0.double().clamp(low, high), hop))


def pulse_train(
    log_f0: Tensor, voiced: Tensor, hop: int, sampling_rate: int, phase: float = 0.0
) -> tuple[Tensor, Tensor]:
    """A band-limited pulse train ``[B, F * hop]`` of unit power where voiced, and the phase at its end ``[B]``.

    log_f0: log(f0 / MIDDLE_HZ) [B, F]; voiced: 0 or 1 [B, F]; a sample is voiced when its interpolated value
    exceeds one half. phase: radians at the first sample. The train is the sum of all cosines below half the
    sampling rate, in closed form.
    """
    f0 = pitch_at_samples(log_f0, hop)
    total = phase + torch.cumsum(f0, 1) * (2.0 * math.pi / sampling_rate)
    gate = between_frames(voiced.double(), hop) > 0.5
    return pulses_at(total, f0, gate, sampling_rate), total[:, -1]


def pulses_at(phase: Tensor, f0: Tensor, gate: Tensor, sampling_rate: int) -> Tensor:
    """Pulses ``[B, L]`` (float32) wherever ``phase`` (radians, double) passes a multiple of a full turn.

    f0: Hz, which says how many cosines fit below half the sampling rate; gate: true where there is a pulse train.
    """
    count = torch.floor(sampling_rate / 2.0 / f0)
    half = torch.remainder(phase, 2.0 * math.pi) / 2.0
    sine = torch.sin(half)
    at_pulse = sine.abs() < 1e-4
    cosines = torch.sin((2.0 * count + 1.0) * half) / (
        2.0 * torch.where(at_pulse, torch.ones_like(sine), sine)
    )
    cosines = torch.where(at_pulse, count, cosines - 0.5)
    return (cosines / torch.sqrt(count / 2.0) * gate).float()


def minimum_phase(log_magnitude: Tensor) -> Tensor:
    """The complex response ``[..., n/2 + 1]`` of the minimum-phase filter with that log magnitude.

    By the real cepstrum: its negative times are folded onto the positive ones.
    """
    cepstrum = torch.fft.irfft(log_magnitude)
    half = cepstrum.shape[-1] // 2
    folded = F.pad(
        torch.cat(
            [cepstrum[..., :1], 2.0 * cepstrum[..., 1:half], cepstrum[..., half : half + 1]], -1
        ),
        (0, half - 1),
    )
    return torch.exp(torch.fft.rfft(folded))


class PitchSpectrum(nn.Module):
    """The low end of a long spectrum, in which harmonics stand apart: what pitch is read from."""

    window: Tensor

    def __init__(self, config: HarmonicCodecConfig) -> None:
        super().__init__()
        self.hop, self.n_fft = config.hop_length, config.pitch_n_fft
        self.first, self.count = config.pitch_first_bin, config.pitch_bins
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """``[B, F, pitch_bins]``: log magnitudes less their mean over the bins, halved; F = ceil(L / hop)."""
        with torch.autocast(waveform.device.type, enabled=False):
            frames = -(-waveform.shape[-1] // self.hop)
            before = self.n_fft // 2 - self.hop // 2
            last_start = (frames - 1) * self.hop - before
            after = max(0, last_start + self.n_fft - waveform.shape[-1])
            padded = F.pad(waveform.float(), (before, after))
            windows = padded.unfold(-1, self.n_fft, self.hop)[:, :frames]
            spectrum = torch.fft.rfft(windows * self.window)
            low = spectrum[..., self.first : self.first + self.count]
            magnitude = (low.real.square() + low.imag.square()).sqrt()
            logs = torch.log(magnitude.clamp(min=_FLOOR))
            return (logs - logs.mean(-1, keepdim=True)) / _PITCH_SCALE


class HarmonicEncoder(nn.Module):
    """Waveform to latent: log-mel and pitch spectrum, ConvNeXt stack, linear projection."""

    def __init__(self, config: HarmonicCodecConfig) -> None:
        super().__init__()
        self.mel = LogMelFrames(
            config.sampling_rate,
            config.filter_hop,
            config.subframes,
            config.mel_n_fft,
            config.n_mels,
            config.sampling_rate / 2,
        )
        self.pitch = PitchSpectrum(config)
        self.stack = ConvNeXtStack(
            self.mel.features + config.pitch_bins,
            config.encoder_dim,
            config.encoder_layers,
            config.mlp_ratio,
            config.kernel_size,
        )
        self.project = nn.Linear(config.encoder_dim, config.codebook_dim)

    def forward(self, waveform: Tensor) -> Tensor:
        """Latent ``[B, F, D]`` of ``waveform [B, L]``."""
        features = torch.cat([self.mel(waveform), self.pitch(waveform)], -1)
        latent: Tensor = self.project(self.stack(features))
        return latent


class HarmonicDecoder(nn.Module):
    """Latent to controls, controls to waveform."""

    window: Tensor
    spread: Tensor

    def __init__(self, config: HarmonicCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.stack = ConvNeXtStack(
            config.codebook_dim,
            config.decoder_dim,
            config.decoder_layers,
            config.mlp_ratio,
            config.kernel_size,
        )
        self.pitch_head = nn.Linear(config.decoder_dim, 2)
        self.expand = nn.Linear(config.decoder_dim, config.subframes * config.filter_dim)
        hidden = config.filter_dim * config.mlp_ratio
        self.filters = nn.ModuleList(
            ConvNeXtBlock(config.filter_dim, hidden, config.kernel_size, 1.0 / config.filter_layers)
            for _ in range(config.filter_layers)
        )
        self.filter_norm = nn.LayerNorm(config.filter_dim, eps=1e-6)
        self.filter_head = nn.Linear(config.filter_dim, 2 * config.n_bands)
        self.register_buffer("window", torch.hann_window(2 * config.filter_hop), persistent=False)
        self.register_buffer("spread", _band_spread(config), persistent=False)

    def controls(self, latent: Tensor) -> Controls:
        """Controls of ``latent [B, F, D]``, float32."""
        config = self.config
        hidden = self.stack(latent)
        pitch = self.pitch_head(hidden).float()
        batch, frames, _ = hidden.shape
        fine = self.expand(hidden).view(batch, frames * config.subframes, config.filter_dim)
        for block in self.filters:
            fine = block(fine)
        gains = self.filter_head(self.filter_norm(fine)).float()
        harmonic, noise = gains.split(config.n_bands, dim=-1)
        return Controls(
            harmonic + _HARMONIC_BIAS, noise + _NOISE_BIAS, pitch[..., 0], pitch[..., 1]
        )

    def synthesise(self, controls: Controls, pulses: Tensor, noise: Tensor) -> Tensor:
        """Waveform ``[B, L]``: both sources ``[B, L]`` through their filters."""
        spectrum = self._filtered(pulses, controls.harmonic) + self._filtered(noise, controls.noise)
        frames = torch.fft.irfft(spectrum, n=self.config.n_fft)
        hop = self.config.filter_hop
        short = -self.config.n_fft % hop
        total = overlap_add(F.pad(frames, (0, short)), hop)
        start = hop // 2
        return total[:, start : start + pulses.shape[1]]

    def _filtered(self, source: Tensor, log_gains: Tensor) -> Tensor:
        """Spectra ``[B, S, n_fft/2 + 1]`` of the windowed source, filtered."""
        hop = self.config.filter_hop
        padded = F.pad(source, (hop // 2, hop // 2 + hop % 2))
        windows = padded.unfold(-1, 2 * hop, hop) * self.window
        spread = self.spread.to(log_gains.dtype)
        response = minimum_phase(log_gains.clamp(max=_MOST_LOG_GAIN) @ spread)
        filtered: Tensor = torch.fft.rfft(windows, n=self.config.n_fft) * response
        return filtered

    def forward(self, latent: Tensor) -> Tensor:
        """Waveform ``[B, F * hop_length]`` of ``latent [B, F, D]``, at the pitch that the network predicts."""
        config = self.config
        with torch.autocast(latent.device.type, enabled=False):
            controls = self.controls(latent)
            pulses, _ = pulse_train(
                controls.log_f0,
                (controls.voicing > 0).float(),
                config.hop_length,
                config.sampling_rate,
            )
            noise = white_noise(0, pulses.shape[1]).to(pulses.device).expand_as(pulses)
            return self.synthesise(controls, pulses, noise)


def _band_spread(config: HarmonicCodecConfig) -> Tensor:
    """Weights ``[n_bands, n_fft/2 + 1]`` that interpolate log gains linearly between the centres of mel bands."""
    bank = mel_filterbank(
        config.sampling_rate, 8 * config.n_fft, config.n_bands, config.sampling_rate / 2
    )
    fine_hz = config.sampling_rate / (8 * config.n_fft)
    centres = bank.argmax(0).numpy() * fine_hz
    bins = np.arange(config.n_fft // 2 + 1) * (config.sampling_rate / config.n_fft)
    rows = [np.interp(bins, centres, row) for row in np.eye(config.n_bands)]
    return torch.from_numpy(np.stack(rows).astype(np.float32))


class HarmonicCodec(ResidualCodec):
    """The harmonic codec."""

    config: HarmonicCodecConfig
    decoder: HarmonicDecoder

    def __init__(self, config: HarmonicCodecConfig) -> None:
        super().__init__(config, HarmonicEncoder(config), HarmonicDecoder(config))
