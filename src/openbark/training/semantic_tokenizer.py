"""Training the semantic encoder on utterances whose semantic tokens are known.

The labels come from an aligner at data-making time; the network learned here reads them from any
waveform. Knows nothing of how the labels were made beyond ``unit * pitch_bins + pitch_bin``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from openbark.backends.torch.semantic_encoder import SemanticEncoder
from openbark.config import SemanticEncoderConfig
from openbark.errors import TrainingError
from openbark.training.data import Utterance
from openbark.training.loop import decay_groups

# Targets of padding frames; cross_entropy leaves them out.
_IGNORED = -100


@dataclass(frozen=True)
class SemanticTokenizerOptions:
    """Batches of `SemanticTokenizerTask`.

    Levels and noise vary so that recordings other than the training voices are not foreign:
    ``gain_db`` is the range of the level, ``noise_db`` of white noise relative to full scale.
    ``units_per_phone`` only serves the phone accuracy of the validation.
    """

    batch_size: int = 16
    seed: int = 0
    gain_db: tuple[float, float] = (-12.0, 6.0)
    noise_db: tuple[float, float] = (-90.0, -40.0)
    units_per_phone: int = 3
    validation_clips: int = 64


@dataclass(frozen=True)
class LabelledBatch:
    """``waveform [B, L]`` float32, ``tokens [B, T]`` int64 (-100 is padding), ``frames [B]``."""

    waveform: Tensor
    tokens: Tensor
    frames: Tensor


class SemanticTokenizerTask:
    """Cross-entropy of units and pitch bins, frame by frame.

    Satisfies `openbark.training.loop.Task`. Utterances without waveform or semantic tokens are
    refused with `TrainingError`.
    """

    name = "semantic-tokenizer"

    def __init__(
        self,
        config: SemanticEncoderConfig,
        utterances: Sequence[Utterance],
        validation: Sequence[Utterance],
        options: SemanticTokenizerOptions = SemanticTokenizerOptions(),
    ) -> None:
        self.config = config
        self.options = options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.module = SemanticEncoder(config)
        _check_labels(utterances, config, "training")
        _check_labels(validation, config, "validation")
        self._utterances = sorted(utterances, key=_frame_count)
        self._validation = list(validation[: options.validation_clips])

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Matrices with weight decay, the rest without."""
        return decay_groups(self.module, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> LabelledBatch:
        """Utterances of similar length, at random levels and with random noise."""
        random = np.random.default_rng((self.options.seed, step, rank))
        size = min(self.options.batch_size, len(self._utterances))
        start = int(random.integers(len(self._utterances) - size + 1))
        batch = self._collate(self._utterances[start : start + size])
        gains = 10.0 ** (random.uniform(*self.options.gain_db, size=size) / 20.0)
        levels = 10.0 ** (random.uniform(*self.options.noise_db, size=size) / 20.0)
        noise = random.standard_normal(tuple(batch.waveform.shape), dtype=np.float32)
        waveform = batch.waveform.numpy() * gains[:, None] + noise * levels[:, None]
        return LabelledBatch(
            torch.from_numpy(waveform.astype(np.float32)), batch.tokens, batch.frames
        )

    def loss(
        self, batch: LabelledBatch, step: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Sum of the unit and the pitch cross-entropy."""
        device = next(self.module.parameters()).device
        tokens = batch.tokens.to(device)
        units, pitch = self.module(batch.waveform.to(device), batch.frames.to(device))
        bins = self.config.pitch_bins
        padding = tokens == _IGNORED
        unit_targets = torch.where(padding, tokens, tokens // bins)
        pitch_targets = torch.where(padding, tokens, tokens % bins)
        unit_loss = F.cross_entropy(units.float().transpose(1, 2), unit_targets)
        pitch_loss = F.cross_entropy(pitch.float().transpose(1, 2), pitch_targets)
        return {"loss": unit_loss + pitch_loss, "unit": unit_loss, "pitch": pitch_loss}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss and the shares of frames with the right token, unit, phone and pitch bin."""
        device = next(self.module.parameters()).device
        bins, per_phone = self.config.pitch_bins, self.options.units_per_phone
        names = ("loss", "token_accuracy", "unit_accuracy", "phone_accuracy", "pitch_accuracy")
        sums = dict.fromkeys(names, 0.0)
        total = 0
        for utterance in self._validation:
            batch = self._collate([utterance])
            tokens = batch.tokens.to(device)
            found = self.module.encode(batch.waveform.to(device))
            losses = self.loss(batch, 0, torch.Generator())
            count = tokens.numel()
            total += count
            sums["loss"] += float(losses["loss"]) * count
            sums["token_accuracy"] += int((found == tokens).sum())
            sums["unit_accuracy"] += int((found // bins == tokens // bins).sum())
            phone = bins * per_phone
            sums["phone_accuracy"] += int((found // phone == tokens // phone).sum())
            sums["pitch_accuracy"] += int((found % bins == tokens % bins).sum())
        return {name: value / total for name, value in sums.items()}

    def _collate(self, utterances: Sequence[Utterance]) -> LabelledBatch:
        frames = [_frame_count(utterance) for utterance in utterances]
        hop = self.config.hop_length
        waveform = np.zeros((len(utterances), max(frames) * hop), dtype=np.float32)
        tokens = np.full((len(utterances), max(frames)), _IGNORED, dtype=np.int64)
        for row, (utterance, count) in enumerate(zip(utterances, frames, strict=True)):
            recorded, labels = _labelled(utterance)
            samples = recorded[: count * hop]
            waveform[row, : len(samples)] = np.asarray(samples, dtype=np.float32) / 32768.0
            tokens[row, :count] = labels
        return LabelledBatch(
            torch.from_numpy(waveform), torch.from_numpy(tokens), torch.tensor(frames)
        )


def _labelled(utterance: Utterance) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    if utterance.waveform is None or utterance.semantic is None:
        raise TrainingError(f"utterance {utterance.key} lacks its waveform or its semantic tokens")
    return utterance.waveform, utterance.semantic


def _frame_count(utterance: Utterance) -> int:
    return len(_labelled(utterance)[1])


def _check_labels(
    utterances: Sequence[Utterance], config: SemanticEncoderConfig, what: str
) -> None:
    if not utterances:
        raise TrainingError(f"semantic tokenizer: no {what} utterances; check the data directory")
    for utterance in utterances:
        if utterance.waveform is None or utterance.semantic is None:
            raise TrainingError(
                f"semantic tokenizer: utterance {utterance.key!r} of the {what} data has no "
                "waveform or no semantic tokens; leave such utterances out"
            )
        top = int(utterance.semantic.max(initial=0))
        if top >= config.vocab_size:
            raise TrainingError(
                f"semantic tokenizer: utterance {utterance.key!r} of the {what} data holds token "
                f"{top}, vocab_size is {config.vocab_size}; use the vocabulary of the data"
            )
