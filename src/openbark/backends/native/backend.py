"""A checkpoint in the compiled CPU engine behind the `Backend` protocol, without torch.

The stages' rules become plain numbers here: which head rows may be drawn at which step, and what ends a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import CodecStream, Drawn, DrawRun, Flag, require_network
from openbark.backends.native.codec import NativeCodec
from openbark.backends.native.library import Pool
from openbark.backends.native.packed_files import fill_packed, packed_file_for
from openbark.backends.native.sessions import CausalStage, Draw, FineSession, NativeSession, Stop
from openbark.backends.native.structs import DTYPES, DrawRules, Precision, sampling_struct
from openbark.backends.native.weights import Transformer, stage_shapes
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.layouts.canonical import part_of
from openbark.checkpoints.layouts.shapes import (
    COARSE_PREFIX,
    CODEC_PREFIX,
    FINE_PREFIX,
    SEMANTIC_PREFIX,
)
from openbark.config import BarkConfig
from openbark.errors import ParamError
from openbark.forks import ForkSafeLock
from openbark.params import SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt, StopReason
from openbark.types import Tokens

_NEAR_BYTES = 32 << 20
"""Packed weights of a stage that the caches of the cores may hold for the most part."""


class Codec(Protocol):
    """What all codecs have in common."""

    def encode(self, waveform: NDArray[np.floating], n_codebooks: int) -> Tokens:
        """Waveform [L] -> codes [K, F]."""
        ...

    def decode(self, codes: Tokens) -> NDArray[np.float32]:
        """Codes [K, F] -> waveform [L]."""
        ...

    def stream(self) -> CodecStream:
        """A decoder for codes that arrive in pieces."""
        ...


class StageSession(NativeSession):
    """A row of the semantic or coarse stage that also draws whole runs of tokens
    (`backends.base.DrawingSession`)."""

    def __init__(self, rows: CausalStage, stage: Stage, config: BarkConfig) -> None:
        super().__init__(rows)
        self._name = stage
        self._config = config

    def draw_run(
        self,
        sampling: SamplingParams,
        noise: Noise,
        first_step: int,
        n_steps: int,
        allow_early_stop: bool = True,
        cancel: Flag | None = None,
    ) -> Drawn:
        """Tokens number `first_step`.. of the request, `n_steps` of them unless the stage ends before.

        Equal to `choose_semantic` or `choose_coarse` step by step (docs/parity.md S32-S36). Fewer tokens without a
        reason: `cancel` [1] was set.
        """
        run = DrawRun(self, sampling, noise, first_step, n_steps, allow_early_stop, cancel)
        return _drawn(self.draw(self.rules(run), cancel))

    def rules(self, run: DrawRun) -> DrawRules:
        """What the stage's rules let a run draw, in the engine's numbers (S32, S36)."""
        rules = DrawRules(
            sampling=sampling_struct(run.sampling),
            seed=run.noise.seed,
            stage=int(self._name),
            first_step=run.first_step,
            n_steps=run.n_steps,
            end_token=-1,
        )
        if self._name is Stage.SEMANTIC:
            semantic = self._config.semantic_rules
            rules.first_token, rules.n_tokens, rules.n_codebooks = (
                0,
                semantic.semantic_vocab_size,
                1,
            )
            rules.end_token = semantic.eos_token if run.allow_early_stop else -1
        else:
            rules.first_token = self._config.coarse_offset
            rules.n_tokens = self._config.codebook_size
            rules.n_codebooks = self._config.coarse_rules.n_codebooks
        return rules


def _drawn(drawn: tuple[Tokens, Stop]) -> Drawn:
    tokens, stop = drawn
    reasons = {Stop.END: StopReason.EOS, Stop.END_PROBABILITY: StopReason.EOS_PROBABILITY}
    return tokens, reasons.get(stop)


class NativeBackend:
    """A Bark in the compiled engine (`backends.base.SharedBackend`)."""

    def __init__(
        self,
        config: BarkConfig,
        pool: Pool,
        precision: Precision,
        causal: dict[Stage, Transformer],
        fine: Transformer | None,
        codec: Codec | None,
    ) -> None:
        self.config = config
        self._pool = pool
        self._precision = precision
        self._causal = causal
        self._rows = {stage: CausalStage(model) for stage, model in causal.items()}
        self._fine = fine
        self._models = (*causal.values(), *([fine] if fine else []))
        self._idle_windows: list[FineSession] = []
        self._windows_lock = ForkSafeLock()
        self._codec = codec

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        dtype: str | None = None,
        threads: int | None = None,
        kernels: str | None = None,
    ) -> NativeBackend:
        """Pack a checkpoint. dtype: "float32" (default, exact), "bfloat16", "int8" or "int4". Networks that
        the checkpoint does not hold are left out.

        Raises MissingExtraError when the library was not built, ParamError for a dtype or kernels that
        this machine does not have.
        """
        pool = Pool(threads, kernels)
        precision = _precision(dtype, pool)
        config = checkpoint.config
        codec = _codec(checkpoint, pool) if part_of(CODEC_PREFIX) in checkpoint.parts else None
        models = _transformers(pool, checkpoint, precision)
        stages = {Stage.SEMANTIC: SEMANTIC_PREFIX, Stage.COARSE: COARSE_PREFIX}
        causal = {stage: models[prefix] for stage, prefix in stages.items() if prefix in models}
        return cls(config, pool, precision, causal, models.get(FINE_PREFIX), codec)

    def __repr__(self) -> str:
        return f"<NativeBackend of {self.config.name!r}: {self.description}>"

    @property
    def description(self) -> str:
        """Engine, kernels, dtype and threads in one line."""
        dtype = self.dtype
        if self._fine is not None and self._fine.precision is not self._precision:
            dtype += f" (fine stage {self._fine.precision.name.lower()})"
        return f"native {self._pool.kernels}, cpu, {dtype}, {self._pool.threads} threads"

    @property
    def dtype(self) -> str:
        """Precision of the transformers' weights, as it was asked for; `description` names a stage that has
        another."""
        return self._precision.name.lower()

    @property
    def shares_cores(self) -> bool:
        """Whether calls of several threads gain from each other (`backends.base.SharedBackend`): weights that lie in
        the caches do not delay the first request."""
        far = any(model.packed_bytes > _NEAR_BYTES for model in self._causal.values())
        return far and self._pool.threads > 1

    @property
    def packed_bytes(self) -> int:
        """Memory of the packed weights of the transformers."""
        return sum(model.packed_bytes for model in self._models)

    def session(self, stage: Stage) -> StageSession:
        """A fresh cached row of the semantic or coarse stage."""
        self._release_rows()
        return StageSession(
            require_network(self._rows.get(stage), stage.name.lower()), stage, self.config
        )

    def draw_batch(self, runs: Sequence[DrawRun]) -> list[Drawn]:
        """Rows of one stage that advance together: each weight is read once for all of them at each step.

        Every run is made by a session of this backend.
        """
        draws: list[Draw] = []
        for run in runs:
            if not isinstance(run.session, StageSession):
                raise TypeError(
                    f"{type(run.session).__name__} is not a session of the compiled engine"
                )
            draws.append((run.session, run.session.rules(run), run.cancel))
        if not draws:
            return []
        return [_drawn(drawn) for drawn in draws[0][0].rows.draw(draws)]

    def causal_logits(self, stage: Stage, prompt: Prompt) -> NDArray[np.float32]:
        """Logits [V] after the last position of the prompt, from an empty cache."""
        return self.session(stage).prefill(prompt)

    def fine_logits(self, codes: Tokens, k: int) -> NDArray[np.float32]:
        """Logits [N, V] of codebook k for a window of codes [K, N]."""
        with self._window() as window:
            return window.logits(codes, k)

    def draw_fine(
        self,
        codes: Tokens,
        k: int,
        first: int,
        first_frame: int,
        sampling: SamplingParams,
        noise: Noise,
    ) -> Tokens:
        """Draw codebook k at frames first.. of a window of codes [K, N]; frame `first` of the window is
        frame `first_frame` of the canvas. Equal to `choose_fine` on `fine_logits` (S38)."""
        keys = (noise.seed, int(Stage.FINE), first_frame)
        size = self.config.codebook_size
        for model in self._causal.values():
            model.release_rows()
        with self._window() as window:
            return window.draw(codes, k, first, sampling_struct(sampling), keys, size)

    def codec_decode(self, codes: Tokens) -> NDArray[np.float32]:
        """Codes [K, F] to a waveform [L]."""
        self._release_rows()
        with self._windows_lock:
            # Made again for the next clip in a few milliseconds; the codec needs room of its own.
            self._idle_windows.clear()
        return require_network(self._codec, "codec").decode(codes)

    def codec_stream(self) -> CodecStream:
        """A fresh stream of the codec (`backends.base.StreamingBackend`)."""
        return require_network(self._codec, "codec").stream()

    def codec_encode(self, waveform: NDArray[np.float32], n_codebooks: int) -> Tokens:
        """Waveform [L] to codes [K, F]."""
        return require_network(self._codec, "codec").encode(waveform, n_codebooks)

    def _release_rows(self) -> None:
        # Between stages: what one has looked up, the next does not need.
        for model in self._models:
            model.release_rows()

    @contextmanager
    def _window(self) -> Iterator[FineSession]:
        # One for each caller at a time, and kept: a clip runs dozens of windows.
        with self._windows_lock:
            window = self._idle_windows.pop() if self._idle_windows else None
        if window is None:
            window = FineSession(require_network(self._fine, "fine"))
        yield window
        with self._windows_lock:
            self._idle_windows.append(window)


def _codec(checkpoint: Checkpoint, pool: Pool) -> Codec:
    return NativeCodec(checkpoint.config.codec, checkpoint.part(CODEC_PREFIX), pool)


def _transformers(
    pool: Pool, checkpoint: Checkpoint, precision: Precision
) -> dict[str, Transformer]:
    """The transformers that the checkpoint holds, by prefix, packed now or before."""
    models = {
        prefix: Transformer(pool, shape)
        for prefix, shape in stage_shapes(checkpoint.config, precision).items()
        if part_of(prefix) in checkpoint.parts
    }

    def pack() -> None:
        for prefix, model in models.items():
            model.pack(checkpoint.part(prefix))

    if not models:
        return models
    file = packed_file_for(checkpoint, tuple(models), pool, precision)
    if file is None:
        pack()
    else:
        fill_packed(file, {prefix: model.packed for prefix, model in models.items()}, pack)
    for prefix, model in models.items():
        model.use_tables(checkpoint.part(prefix))
    pool.library.ob_memory_trim()
    return models


def _precision(dtype: str | None, pool: Pool) -> Precision:
    allowed = [name for name, kind in DTYPES.items() if pool.precisions >> int(kind) & 1]
    if (dtype or "float32") not in allowed:
        raise ParamError(
            f"dtype is {dtype!r}; allowed for the CPU engine with {pool.kernels} kernels: {', '.join(allowed)}"
        )
    return DTYPES[dtype or "float32"]
