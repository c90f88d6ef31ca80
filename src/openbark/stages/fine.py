"""Fine stage: the windows in which the missing codebooks are filled, and what may be drawn.

Rule S38 of the Bark family. Knows no network: the caller computes logits for one window and one codebook.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openbark.config import BarkConfig
from openbark.params import SamplingParams
from openbark.stages.sampling import Noise, Stage, draw, probabilities
from openbark.types import Tokens


@dataclass(frozen=True, slots=True)
class FineCanvas:
    """The frames being filled: `codes` [K, N] with history before and padding after the `n_frames` new
    ones. Padding is `codebook_size`. Codebooks are filled in place, window by window."""

    codes: Tokens
    n_history: int
    n_frames: int

    def result(self) -> Tokens:
        """The filled new frames [K, T]."""
        return self.codes[:, self.n_history : self.n_history + self.n_frames].copy()


@dataclass(frozen=True, slots=True)
class FineWindow:
    """Frames `start`..`stop` of the canvas are seen, those from `fill` on are written."""

    start: int
    fill: int
    stop: int


def fine_canvas(coarse: Tokens, voice_fine: Tokens | None, config: BarkConfig) -> FineCanvas:
    """Lay out coarse codes [k, T] behind a voice's last fine codes [K, H], padded to one window (docs/parity.md S38).

    `coarse` may already hold more codebooks than the coarse stage makes (S12); the rest starts as padding.
    """
    rules = config.fine_rules
    n_given, n_frames = coarse.shape
    n_history = 0 if voice_fine is None else min(voice_fine.shape[1], rules.max_history)
    width = max(rules.max_input, n_history + n_frames)
    codes = np.full((rules.n_codebooks, width), config.codebook_size, dtype=np.int64)
    if voice_fine is not None and n_history > 0:
        codes[:, :n_history] = np.asarray(voice_fine, dtype=np.int64)[:, -n_history:]
    codes[:n_given, n_history : n_history + n_frames] = coarse
    return FineCanvas(codes, n_history, n_frames)


def fine_windows(canvas: FineCanvas, config: BarkConfig) -> list[FineWindow]:
    """The windows that fill a canvas, in order. Each hop is `max_history` frames (S38)."""
    rules = config.fine_rules
    width = canvas.codes.shape[1]
    overflow = canvas.n_frames - (rules.max_input - canvas.n_history)
    n_windows = max(0, math.ceil(overflow / rules.max_history)) + 1
    windows = []
    for n in range(n_windows):
        start = min(n * rules.max_history, width - rules.max_input)
        fill = min(canvas.n_history + n * rules.max_history, width - rules.max_history)
        windows.append(FineWindow(start, fill, start + rules.max_input))
    return windows


def choose_fine(
    logits: NDArray[np.floating],
    k: int,
    first_frame: int,
    sampling: SamplingParams,
    noise: Noise,
    config: BarkConfig,
) -> Tokens:
    """Draw codebook `k` for consecutive frames from logits [R, V]; the first is canvas frame
    `first_frame`, which keys its noise. Only the `codebook_size` codes can be drawn."""
    support = np.asarray(logits[:, : config.codebook_size], dtype=np.float64)
    frames = np.arange(first_frame, first_frame + len(support))
    return draw(probabilities(support, sampling), noise.uniforms(Stage.FINE, k, frames))
