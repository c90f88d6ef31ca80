"""What a backend owes the rest of the program: logits with a cache, logits without, and the codec.

Arrays are numpy on both sides; where they live in between is the backend's business. A backend knows
no sampling, no windows and no stop rules: those are `openbark.stages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from openbark.config import BarkConfig
from openbark.errors import CheckpointUnsupportedError
from openbark.params import SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt, StopReason
from openbark.types import Logits, Tokens, Waveform

Network = TypeVar("Network")

Flag = NDArray[np.int32]
"""One number [1] that any thread may set to 1 to stop a run of draws before its next step."""

Drawn = tuple[Tokens, StopReason | None]
"""What a run of draws gave, and why the stage ended there; None where it may go on."""


def require_network(network: Network | None, name: str) -> Network:
    """A network of a backend. Raises CheckpointUnsupportedError where its checkpoint holds only others."""
    if network is None:
        raise CheckpointUnsupportedError(
            f"this model was loaded without its {name} network; load the whole checkpoint"
        )
    return network


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

    @property
    def dtype(self) -> str:
        """Precision of the transformers' weights: "float32", "bfloat16", "int8", ..."""
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

    def codec_decode(self, codes: Tokens) -> Waveform:
        """Codes [K, F], any K the codec has, to a waveform [L] at the codec's sampling rate."""
        ...

    def codec_encode(self, waveform: Waveform, n_codebooks: int) -> Tokens:
        """Waveform [L] at the codec's sampling rate to codes [K, F]."""
        ...


class CodecStream(Protocol):
    """A codec that decodes codes as they arrive: its pieces put together are `codec_decode` of all codes.

    For one thread at a time.
    """

    lookahead: int
    """Frames that must be known beyond a frame before its samples are: those come out that much later."""

    def push(self, codes: Tokens) -> Waveform:
        """Add codes [K, F], the same K every time; the samples [L] that are now known, often none at first.

        Raises InputError for codes that the codec has not, and after `finish`.
        """
        ...

    def finish(self) -> Waveform:
        """The last samples: F * hop_length in all."""
        ...


@runtime_checkable
class StreamingBackend(Backend, Protocol):
    """A backend whose codec carries its state from block to block."""

    def codec_stream(self) -> CodecStream:
        """A fresh stream."""
        ...


class DrawingSession(CausalSession, Protocol):
    """A row that follows the stages' rules by itself, many steps per call."""

    def read(self, prompt: Prompt) -> None:
        """As `prefill`, without logits."""
        ...

    def draw_run(
        self,
        sampling: SamplingParams,
        noise: Noise,
        first_step: int,
        n_steps: int,
        allow_early_stop: bool = True,
        cancel: Flag | None = None,
    ) -> Drawn:
        """Tokens number `first_step`.. of the request, `n_steps` of them unless the stage ends before or
        `cancel` is set: what `choose_semantic` or `choose_coarse` would give, step by step. Runs continue
        each other."""
        ...


@runtime_checkable
class DrawingBackend(Backend, Protocol):
    """A backend that draws where it computes: logits need not leave it."""

    def session(self, stage: Stage) -> DrawingSession:
        """A fresh cached row of the semantic or coarse stage."""
        ...

    def draw_fine(
        self,
        codes: Tokens,
        k: int,
        first: int,
        first_frame: int,
        sampling: SamplingParams,
        noise: Noise,
    ) -> Tokens:
        """Codebook k at frames `first`.. of a window of codes [K, N]: what `choose_fine` would draw from
        `fine_logits` for canvas frames `first_frame`.. ."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class DrawRun:
    """One row's part in a step that several rows take together; fields as in `DrawingSession.draw_run`."""

    session: DrawingSession
    sampling: SamplingParams
    noise: Noise
    first_step: int
    n_steps: int
    allow_early_stop: bool = True
    cancel: Flag | None = None


@runtime_checkable
class BatchingBackend(DrawingBackend, Protocol):
    """A backend that gains from rows that advance together."""

    def draw_batch(self, runs: Sequence[DrawRun]) -> list[Drawn]:
        """What `draw_run` would give each of the runs, whose sessions differ and belong to one stage. A row
        does not depend on its companions, bit for bit, and leaves when its run is over. An error leaves
        the sessions in need of a new prompt."""
        ...


@runtime_checkable
class SharedBackend(BatchingBackend, Protocol):
    """A batching backend that several threads may call at once, for different rows."""

    @property
    def shares_cores(self) -> bool:
        """Whether such calls divide the cores among themselves and gain from it: draws wait for memory, prompts,
        fine windows and the codec for arithmetic."""
        ...
