"""Training the iSTFT codec: the whole codec first, then the decoder alone.

`CodecTask` learns encoder, codebooks and decoder together. `DecoderTask` freezes encoder and
codebooks, so that codes already extracted stay valid, and improves the decoder, optionally on
codes as the generating stages produce them. Knows nothing of text or semantic tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openbark.backends.torch.istft import IstftCodec
from openbark.backends.torch.residual import ResidualCodec
from openbark.config import IstftCodecConfig
from openbark.errors import TrainingError
from openbark.training.loop import decay_groups
from openbark.training.quantizer import EmaQuantizer
from openbark.training.spectral import MelDistance, SpectralLoss
from openbark.types import Codes, Tokens

Recording = NDArray[np.int16]
"""Samples [L] of a corpus."""

Codec = TypeVar("Codec", bound=ResidualCodec)


@dataclass(frozen=True)
class CodecTaskOptions:
    """Batches and losses of both codec tasks.

    ``short_fraction`` of the items of a batch are decoded from one of ``short_counts`` codebooks.
    The first ``quantize_from`` steps pass the latent unquantised; then the codebooks start from
    k-means over ``init_batches`` batches. ``gain_db`` is the range of the random level.
    """

    batch_size: int = 16
    crop_frames: int = 40
    seed: int = 0
    quantize_from: int = 200
    init_batches: int = 16
    short_fraction: float = 0.5
    short_counts: tuple[int, ...] = (1, 2, 2, 4)
    gain_db: tuple[float, float] = (-6.0, 2.0)
    mel_weight: float = 3.0
    commitment_weight: float = 0.25
    predicted_fraction: float = 0.5
    validation_clips: int = 16


class CodecTrainee(nn.Module, Generic[Codec]):
    """The codec and the statistics of its codebooks: what a codec run saves."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        config = codec.config
        self.codec = codec
        self.ema = EmaQuantizer(config.n_codebooks, config.codebook_size, config.codebook_dim)

    def quantised(
        self,
        latent: Tensor,
        options: CodecTaskOptions,
        waveforms: Callable[[int], Tensor],
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """`latent` through the codebooks, which it moves, and the commitment loss.

        The codebooks start from k-means over batches that training itself does not see: `waveforms(rank)`, for ranks
        far above any real process.
        """
        if not int(self.ema.initialised):
            ranks = range(10_000, 10_000 + options.init_batches)
            self.ema.initialise(
                self.codec.quantizer, self._latents(map(waveforms, ranks)), generator
            )
        counts = book_counts(options, self.codec.config.n_codebooks, len(latent), generator)
        quantised, commitment, _ = self.ema(
            self.codec.quantizer, latent, counts.to(latent.device), generator, update=True
        )
        return quantised, commitment

    @torch.no_grad()
    def _latents(self, batches: Iterable[Tensor]) -> Tensor:
        """Latents ``[M, D]`` of several batches: one alone has too few frames for k-means."""
        device = next(self.codec.parameters()).device
        latents = [self.codec.encode_latent(batch.to(device)).float() for batch in batches]
        return torch.cat(latents).reshape(-1, self.codec.config.codebook_dim)


def initialise_codec(codec: IstftCodec, seed: int) -> None:
    """Random starting weights drawn from ``seed`` alone."""
    initialise_linear(codec, codec.decoder.head, seed=seed)


def initialise_linear(network: nn.Module, head: nn.Linear, *, seed: int) -> None:
    """Draw every convolution and linear layer from ``seed``; ``head``, which writes log magnitudes, near zero."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            std = 0.02 if module is head else 1.0 / math.sqrt(module.weight[0].numel())
            with torch.no_grad():
                module.weight.normal_(0.0, std, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()


class _Crops:
    """Random crops of a list of waveforms, every second of audio equally likely."""

    def __init__(self, waveforms: Sequence[Recording], what: str) -> None:
        if not waveforms:
            raise TrainingError(f"codec training: no {what} waveforms; check the data directory")
        self.waveforms = waveforms
        self.ends = np.cumsum([len(w) for w in waveforms])

    def pick(self, random: np.random.Generator) -> int:
        """Index of a waveform, drawn in proportion to its length."""
        position = int(random.integers(self.ends[-1]))
        return int(np.searchsorted(self.ends, position, side="right"))

    def cut(self, index: int, start: int, length: int) -> NDArray[np.float32]:
        """``length`` samples in [-1, 1] from ``start``, zeros past the end."""
        piece = self.waveforms[index][start : start + length]
        padded = np.zeros(length, dtype=np.float32)
        padded[: len(piece)] = np.asarray(piece, dtype=np.float32) / 32768.0
        return padded


def _gain(options: CodecTaskOptions, random: np.random.Generator) -> float:
    return float(10.0 ** (random.uniform(*options.gain_db) / 20.0))


def book_counts(
    options: CodecTaskOptions, n_codebooks: int, batch: int, generator: torch.Generator
) -> Tensor:
    """How many codebooks each item is decoded from, ``[B]``."""
    short = torch.rand(batch, generator=generator) < options.short_fraction
    choices = torch.tensor(options.short_counts).clamp(max=n_codebooks)
    drawn = choices[torch.randint(len(choices), (batch,), generator=generator)]
    return torch.where(short, drawn, torch.full_like(drawn, n_codebooks))


class CodecTask:
    """Encoder, codebooks and decoder together, on int16 waveforms at the codec's rate.

    Satisfies `openbark.training.loop.Task`.
    """

    name = "codec"

    def __init__(
        self,
        config: IstftCodecConfig,
        waveforms: Sequence[Recording],
        validation: Sequence[Recording],
        options: CodecTaskOptions = CodecTaskOptions(),
    ) -> None:
        self.config = config
        self.options = options
        self.module = CodecTrainee(IstftCodec(config))
        initialise_codec(self.module.codec, options.seed)
        self._crops = _Crops(waveforms, "training")
        self._validation = list(validation[: options.validation_clips])
        self._loss = SpectralLoss(config.sampling_rate, config.bandwidth_hz)
        self._distance = MelDistance(config.sampling_rate, config.bandwidth_hz)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Matrices with weight decay, the rest without."""
        return decay_groups(self.module, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> Tensor:
        """Waveforms ``[B, crop_frames * hop_length]``."""
        random = np.random.default_rng((self.options.seed, step, rank))
        length = self.options.crop_frames * self.config.hop_length
        rows = []
        for _ in range(self.options.batch_size):
            index = self._crops.pick(random)
            start = int(random.integers(max(1, len(self._crops.waveforms[index]) - length)))
            rows.append(self._crops.cut(index, start, length) * _gain(self.options, random))
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def loss(self, batch: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """STFT, mel and commitment losses of one batch; moves the codebooks."""
        codec = self.module.codec
        target = batch.to(next(codec.parameters()).device)
        self._loss.to(target.device)
        latent = codec.encode_latent(target).float()
        commitment = latent.new_zeros(())
        if step >= self.options.quantize_from:
            with torch.autocast(target.device.type, enabled=False):
                latent, commitment = self.module.quantised(
                    latent, self.options, lambda rank: self.batch(step, rank, 1), generator
                )
        output = codec.decode_latent(latent)
        with torch.autocast(target.device.type, enabled=False):
            stft, mel = self._loss(output, target)
        options = self.options
        loss = stft + options.mel_weight * mel + options.commitment_weight * commitment
        return {"loss": loss, "stft": stft, "mel": mel, "commitment": commitment}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mel distance with all and with two codebooks, usage of the codebooks."""
        return validate_codec(self.module.codec, self._validation, self._distance)


def validate_codec(
    codec: ResidualCodec, waveforms: Sequence[Recording], distance: MelDistance
) -> dict[str, float]:
    """Figures on whole held-out utterances.

    ``mel_all`` and ``mel_2``: log-mel L1 with all and with two codebooks; ``loss``: their mean;
    ``perplexity_k``: of the codes of codebook k (bounded by the number of frames at hand).
    """
    if not waveforms:
        raise TrainingError("codec training: no validation waveforms; check the data directory")
    device = next(codec.parameters()).device
    distance.to(device)
    sums, all_codes = np.zeros(2), []
    for waveform in waveforms:
        samples = np.asarray(waveform, dtype=np.float32) / 32768.0
        target = torch.from_numpy(samples)[None].to(device)
        codes = codec.encode(target)
        all_codes.append(codes[0])
        for slot, books in enumerate((codes.shape[1], min(2, codes.shape[1]))):
            output = codec.decode(codes[:, :books])[:, : target.shape[1]]
            sums[slot] += float(distance(output, target))
    mel_all, mel_2 = (sums / len(waveforms)).tolist()
    figures = {"loss": 0.5 * (mel_all + mel_2), "mel_all": mel_all, "mel_2": mel_2}
    joined = torch.cat(all_codes, dim=1)
    for k in range(joined.shape[0]):
        share = torch.bincount(joined[k]).double() / joined.shape[1]
        entropy = -torch.special.xlogy(share, share).sum()
        figures[f"perplexity_{k}"] = float(entropy.exp())
    return figures


@dataclass(frozen=True)
class DecoderClip:
    """One utterance for `DecoderTask`.

    ``codes [K, F]`` are the codec's own, ``predicted [K, F]`` (optional) the same utterance's codes
    as generating stages would give them, for example true coarse and predicted fine codes.
    """

    waveform: Recording
    codes: Codes
    predicted: Codes | None = None


class DecoderTask:
    """The decoder alone, from given codes; encoder and codebooks stay as they are.

    ``corrupt(codes [B, K, F], generator)`` may return other codes for the whole batch, for example
    with the fine books filled in by a model. Satisfies `openbark.training.loop.Task`.
    """

    name = "codec-decoder"

    def __init__(
        self,
        codec: IstftCodec,
        clips: Sequence[DecoderClip],
        validation: Sequence[Recording],
        options: CodecTaskOptions = CodecTaskOptions(),
        corrupt: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    ) -> None:
        self.module = codec
        self.options = options
        self._corrupt = corrupt
        self._clips = list(clips)
        self._crops = _Crops([clip.waveform for clip in clips], "training")
        self._validation = list(validation[: options.validation_clips])
        config = codec.config
        self._loss = SpectralLoss(config.sampling_rate, config.bandwidth_hz)
        self._distance = MelDistance(config.sampling_rate, config.bandwidth_hz)
        if all(clip.codes.shape[1] < options.crop_frames for clip in clips):
            raise TrainingError(
                f"decoder training: every clip is shorter than crop_frames {options.crop_frames}; "
                "give longer clips or a smaller crop_frames"
            )
        for parameter in codec.encoder.parameters():
            parameter.requires_grad_(False)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The decoder's parameters only."""
        return decay_groups(self.module.decoder, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        """Waveforms ``[B, crop_frames * hop_length]`` and codes ``[B, K, crop_frames]``."""
        options, config = self.options, self.module.config
        random = np.random.default_rng((options.seed, step, rank))
        rows: list[NDArray[np.float32]] = []
        codes: list[Tokens] = []
        while len(rows) < options.batch_size:
            index = self._crops.pick(random)
            clip = self._clips[index]
            given = clip.codes
            if clip.predicted is not None and random.random() < options.predicted_fraction:
                given = clip.predicted
            spare = given.shape[1] - options.crop_frames
            if spare < 0:
                continue
            start = int(random.integers(spare + 1))
            length = options.crop_frames * config.hop_length
            rows.append(self._crops.cut(index, start * config.hop_length, length))
            codes.append(given[:, start : start + options.crop_frames].astype(np.int64))
        return torch.from_numpy(np.stack(rows)), torch.from_numpy(np.stack(codes))

    def loss(
        self, batch: tuple[Tensor, Tensor], step: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """STFT and mel losses of one batch."""
        codec, options = self.module, self.options
        device = next(codec.parameters()).device
        target, codes = batch[0].to(device), batch[1].to(device)
        self._loss.to(device)
        with torch.no_grad():
            if self._corrupt is not None:
                codes = self._corrupt(codes, generator)
            counts = book_counts(options, codec.config.n_codebooks, len(codes), generator)
            latent = torch.cat(
                [
                    codec.quantizer.decode(item[None, : int(count)])
                    for item, count in zip(codes, counts, strict=True)
                ]
            )
        output = codec.decode_latent(latent)
        with torch.autocast(device.type, enabled=False):
            stft, mel = self._loss(output, target)
        return {"loss": stft + options.mel_weight * mel, "stft": stft, "mel": mel}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """As `CodecTask.validate`, on the codec's own codes."""
        return validate_codec(self.module, self._validation, self._distance)
