"""What a backend owes the rest of the program: logits with a cache, logits without, and the codec.

Arrays are numpy on both sides; where they live in between is the backend's business. A backend knows
no sampling, no windows and no stop rules: those are `openbark.stages`.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from openbark.config import BarkConfig
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

__all__ = ["Backend", "CausalSession", "Logits", "Tokens"]

Tokens = NDArray[np.int64]
Logits = NDArray[np.floating]


class CausalSession(Protocol):
    """One row of a causal stage and its KV cache; room for the stage's `block_size` positions."""

    def prefill(self, prompt: Prompt) -> Logits:
        """Forget everything, read the prompt; logits [V] after its last position."""
        ...

    def step(self, token: int) -> Logits:
        """Append one token; logits [V] after it."""
        ...


@runtime_checkable
class Backend(Protocol):
    """A loaded Bark that computes. Also a `stages.reference.Network`."""

    @property
    def config(self) -> BarkConfig:
        """Sizes and rules of the checkpoint."""
        ...

    @property
    def description(self) -> str:
        """One line for people: backend, device, dtype, threads."""
        ...

    def session(self, stage: Stage) -> CausalSession:
        """A fresh cached row of the semantic or coarse stage."""
        ...

    def causal_logits(self, stage: Stage, prompt: Prompt) -> Logits:
        """Uncached logits [V] after the last position of the prompt."""
        ...

    def fine_logits(self, codes: Tokens, k: int) -> Logits:
        """Logits [N, V] of codebook k for a window of codes [K, N]."""
        ...

    def codec_decode(self, codes: Tokens) -> NDArray[np.float32]:
        """Codes [K, F], any K the codec has, to a waveform [L] at the codec's sampling rate."""
        ...

    def codec_encode(self, waveform: NDArray[np.float32], n_codebooks: int) -> Tokens:
        """Waveform [L] at the codec's sampling rate to codes [K, F]."""
        ...
