"""Training the harmonic codec: encoder, codebooks and decoder together, on clips with known pitch.

The source is a pulse train at the recording's own pulses (see `pulses`), so that filters are learned apart from
pitch; the pitch head is trained beside them. Knows nothing of text or semantic tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from openbark.backends.torch.harmonic import (
    MIDDLE_HZ,
    Controls,
    HarmonicCodec,
    between_frames,
    pulses_at,
)
from openbark.config import HarmonicCodecConfig
from openbark.errors import TrainingError
from openbark.training.codec import (
    CodecTaskOptions,
    CodecTrainee,
    initialise_linear,
    validate_codec,
)
from openbark.training.data import Utterance
from openbark.training.loop import decay_groups
from openbark.training.pulses import pulse_phase
from openbark.training.spectral import MelDistance, Resolution, SpectralLoss

_RESOLUTIONS = (
    Resolution(2048, 512, 80),
    Resolution(1024, 256, 80),
    Resolution(512, 128, 40),
    Resolution(128, 32, 0),
)
_VOICING_WEIGHT = 0.2


@dataclass(frozen=True)
class PitchedClip:
    """One recording: int16 [F * hop] samples, f0 [F] in Hz (0: unvoiced), pulse phase [F * subframes]."""

    waveform: NDArray[np.int16]
    f0: NDArray[np.float32]
    phase: NDArray[np.float64]


@dataclass(frozen=True)
class _Batch:
    """waveform [B, L], f0 [B, F], phase [B, F * subframes] (double)."""

    waveform: Tensor
    f0: Tensor
    phase: Tensor


def pitched_clip(
    waveform: NDArray[np.int16], f0: NDArray[np.float32], config: HarmonicCodecConfig
) -> PitchedClip:
    """A clip whose pulses are found; the waveform is cut to whole frames."""
    n_frames = min(len(f0), len(waveform) // config.hop_length)
    samples = np.ascontiguousarray(waveform[: n_frames * config.hop_length])
    phase = pulse_phase(
        samples.astype(np.float32) / 32768.0,
        f0[:n_frames],
        config.hop_length,
        config.filter_hop,
        config.sampling_rate,
    )
    return PitchedClip(samples, f0[:n_frames], phase)


def clips_of(utterances: Sequence[Utterance], config: HarmonicCodecConfig) -> list[PitchedClip]:
    """A clip for each utterance; all need a waveform and its pitch."""
    clips = []
    for utterance in utterances:
        if utterance.waveform is None or utterance.pitch is None:
            raise TrainingError(f"utterance {utterance.key!r} lacks its waveform or its pitch")
        f0 = utterance.pitch.astype(np.float32) / 10.0
        clips.append(pitched_clip(utterance.waveform, f0, config))
    return clips


class HarmonicCodecTask:
    """STFT, mel, commitment, pitch and voicing losses (`training.loop.Task`)."""

    name = "codec"

    def __init__(
        self,
        config: HarmonicCodecConfig,
        clips: Sequence[PitchedClip],
        validation: Sequence[PitchedClip],
        options: CodecTaskOptions,
    ) -> None:
        self.config, self.options = config, options
        self.module = CodecTrainee(HarmonicCodec(config))
        initialise_linear(
            self.module.codec, self.module.codec.decoder.filter_head, seed=options.seed
        )
        self._clips = [clip for clip in clips if len(clip.f0) >= options.crop_frames]
        if not self._clips:
            raise TrainingError(
                f"codec training: no clip has {options.crop_frames} frames; give longer recordings"
            )
        self._ends = np.cumsum([len(clip.f0) for clip in self._clips])
        self._validation = list(validation[: options.validation_clips])
        self._loss = SpectralLoss(config.sampling_rate, config.sampling_rate / 2, _RESOLUTIONS)
        self._distance = MelDistance(config.sampling_rate, config.sampling_rate / 2)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Matrices with weight decay, the rest without."""
        return decay_groups(self.module, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> _Batch:
        """Crops of `crop_frames` frames, every second of audio equally likely, at random levels."""
        options, config = self.options, self.config
        random = np.random.default_rng((options.seed, step, rank))
        waveforms, pitches, phases = [], [], []
        for _ in range(options.batch_size):
            position = int(random.integers(self._ends[-1]))
            clip = self._clips[int(np.searchsorted(self._ends, position, side="right"))]
            start = int(random.integers(len(clip.f0) - options.crop_frames + 1))
            stop = start + options.crop_frames
            gain = 10.0 ** (random.uniform(*options.gain_db) / 20.0) / 32768.0
            samples = clip.waveform[start * config.hop_length : stop * config.hop_length]
            waveforms.append(samples.astype(np.float32) * np.float32(gain))
            pitches.append(clip.f0[start:stop])
            phases.append(clip.phase[start * config.subframes : stop * config.subframes])
        return _Batch(
            torch.from_numpy(np.stack(waveforms)),
            torch.from_numpy(np.stack(pitches)),
            torch.from_numpy(np.stack(phases)),
        )

    def loss(self, batch: _Batch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """All losses of one batch; moves the codebooks."""
        codec, options = self.module.codec, self.options
        device = next(codec.parameters()).device
        target, f0 = batch.waveform.to(device), batch.f0.to(device)
        self._loss.to(device)
        latent = codec.encode_latent(target).float()
        commitment = latent.new_zeros(())
        if step >= options.quantize_from:
            with torch.autocast(device.type, enabled=False):
                latent, commitment = self.module.quantised(
                    latent, options, lambda rank: self.batch(step, rank, 1).waveform, generator
                )
        controls = codec.decoder.controls(latent)
        with torch.autocast(device.type, enabled=False):
            pulses = _source_pulses(f0, batch.phase.to(device), self.config)
            noise = torch.rand(target.shape, generator=generator).to(device)
            noise = (noise - 0.5) * math.sqrt(12.0)
            output = codec.decoder.synthesise(controls, pulses, noise)
            stft, mel = self._loss(output, target)
            pitch, voicing = _pitch_losses(controls, f0)
        loss = (
            stft
            + options.mel_weight * mel
            + options.commitment_weight * commitment
            + pitch
            + _VOICING_WEIGHT * voicing
        )
        return {
            "loss": loss, "stft": stft, "mel": mel, "commitment": commitment,
            "pitch": pitch, "voicing": voicing,
        }  # fmt: skip

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mel distance with all and with two codebooks at the codec's own pitch, pitch errors, usage of codebooks."""
        waveforms = [clip.waveform for clip in self._validation]
        figures = validate_codec(self.module.codec, waveforms, self._distance)
        device = next(self.module.parameters()).device
        codec, sums, frames = self.module.codec, np.zeros(2), np.zeros(2)
        for clip in self._validation:
            samples = torch.from_numpy(clip.waveform.astype(np.float32) / 32768.0)[None].to(device)
            controls = codec.decoder.controls(codec.quantizer.decode(codec.encode(samples)))
            f0 = torch.from_numpy(clip.f0)[None].to(device)
            pitch, _ = _pitch_losses(controls, f0)
            wrong = ((controls.voicing > 0) != (f0 > 0)).float().sum()
            voiced = int((f0 > 0).sum())
            sums += [float(pitch) * voiced, float(wrong)]
            frames += [voiced, f0.numel()]
        figures["pitch"], figures["voicing_error"] = (sums / np.maximum(frames, 1)).tolist()
        return figures


def _source_pulses(f0: Tensor, phase: Tensor, config: HarmonicCodecConfig) -> Tensor:
    """The pulse train ``[B, F * hop]`` at given phases ``[B, F * subframes]``; f0 ``[B, F]``, 0 is unvoiced."""
    hop = config.hop_length
    voiced = (f0 > 0).double()
    gate = between_frames(voiced, hop) > 0.5
    # Between voiced frames nothing is heard: any pitch does.
    pitch = between_frames(torch.where(f0 > 0, f0, torch.full_like(f0, MIDDLE_HZ)).double(), hop)
    return pulses_at(between_frames(phase, config.filter_hop), pitch, gate, config.sampling_rate)


def _pitch_losses(controls: Controls, f0: Tensor) -> tuple[Tensor, Tensor]:
    """(mean absolute error of log f0 over voiced frames, cross-entropy of voicing)."""
    voiced = f0 > 0
    target = torch.log(f0.clamp(min=1.0) / MIDDLE_HZ)
    error = (controls.log_f0 - target).abs() * voiced
    pitch = error.sum() / voiced.sum().clamp(min=1)
    return pitch, F.binary_cross_entropy_with_logits(controls.voicing, voiced.float())
