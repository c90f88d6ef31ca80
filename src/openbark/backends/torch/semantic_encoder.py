"""Waveform to semantic tokens: what turns a recording into the semantic half of a voice.

A small network for checkpoints that carry their own semantic encoder. It reads the same log-mel
frames as the iSTFT codec and knows nothing of phones, speakers or training.

A token is ``unit * pitch_bins + pitch_bin``. Pitch bins are relative to the speaker, which a few
frames cannot show, so the mean and the spread of the features over the whole utterance are given
back to every frame half-way up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from openbark.backends.torch.convnext import ConvNeXtBlock, ConvNeXtStack, LogMelFrames
from openbark.config import SemanticEncoderConfig

# Speech is told apart below this; above it training material and recordings differ most.
_LIMIT_HZ = 8000.0
# Layers above the utterance summary.
_UPPER_LAYERS = 2


class SemanticEncoder(nn.Module):
    """Frame classifier with a unit head and a pitch head; framing as in `convnext`."""

    def __init__(self, config: SemanticEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.features = LogMelFrames(
            config.sampling_rate,
            config.hop_length // config.subframes,
            config.subframes,
            config.mel_n_fft,
            config.n_mels,
            min(_LIMIT_HZ, config.sampling_rate / 2),
        )
        lower = max(1, config.n_layer - _UPPER_LAYERS)
        self.lower = ConvNeXtStack(
            self.features.features, config.dim, lower, config.mlp_ratio, config.kernel_size
        )
        self.summary = nn.Linear(2 * config.dim, config.dim)
        upper = config.n_layer - lower
        hidden = config.dim * config.mlp_ratio
        self.upper = nn.ModuleList(
            ConvNeXtBlock(config.dim, hidden, config.kernel_size, 1.0 / config.n_layer)
            for _ in range(upper)
        )
        self.final_norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.unit_head = nn.Linear(config.dim, config.vocab_size // config.pitch_bins)
        self.pitch_head = nn.Linear(config.dim, config.pitch_bins)

    def forward(self, waveform: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits ``[B, T, vocab_size // pitch_bins]`` and ``[B, T, pitch_bins]``.

        ``waveform [B, L]`` in [-1, 1]; T = ceil(L / hop_length). ``frames [B]`` are the true frame
        counts of a padded batch, so that padding does not enter the utterance summary.
        """
        hidden = self.lower(self.features(waveform))
        summary = self.summary(self._statistics(hidden.float(), frames))
        hidden = hidden + summary[:, None]
        for layer in self.upper:
            hidden = layer(hidden)
        hidden = self.final_norm(hidden)
        return self.unit_head(hidden), self.pitch_head(hidden)

    def encode(self, waveform: Tensor) -> Tensor:
        """Most likely semantic tokens ``[B, T]`` (int64) of ``waveform [B, L]``."""
        units, pitch = self(waveform)
        tokens: Tensor = units.argmax(-1) * self.config.pitch_bins + pitch.argmax(-1)
        return tokens

    @staticmethod
    def _statistics(hidden: Tensor, frames: Tensor | None) -> Tensor:
        """Mean and standard deviation over time, ``[B, 2 * C]``."""
        count = hidden.shape[1]
        if frames is None:
            frames = torch.full((hidden.shape[0],), count, device=hidden.device)
        mask = torch.arange(count, device=hidden.device)[None] < frames[:, None]
        weight = (mask / frames[:, None])[..., None].to(hidden.dtype)
        mean = (hidden * weight).sum(1, keepdim=True)
        variance = ((hidden - mean).square() * weight).sum(1)
        return torch.cat([mean[:, 0], torch.sqrt(variance + 1e-5)], dim=-1)
