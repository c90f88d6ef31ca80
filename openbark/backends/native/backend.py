"""A checkpoint in the compiled CPU engine behind the `Backend` protocol, without torch.

The stages' rules become plain numbers here: which head rows may be drawn at which step, and what ends a run.
"""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Tokens, held
from openbark.backends.native.codec import NativeEncodec, NativeIstftCodec
from openbark.backends.native.library import Pool
from openbark.backends.native.sessions import FineSession, NativeSession, Stop
from openbark.backends.native.structs import DTYPES, DrawRules, Precision, sampling_struct
from openbark.backends.native.weights import (
    Tensors,
    Transformer,
    causal_shape,
    coarse_head_starts,
    fine_shape,
)
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.config import BarkConfig, EncodecConfig
from openbark.errors import ParamError
from openbark.params import SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt, StopReason

__all__ = ["Codec", "NativeBackend", "StageSession"]


class Codec(Protocol):
    """What both codecs have in common."""

    def encode(self, waveform: NDArray[np.floating], n_codebooks: int) -> Tokens:
        """Waveform [L] -> codes [K, F]."""
        ...

    def decode(self, codes: Tokens) -> NDArray[np.float32]:
        """Codes [K, F] -> waveform [L]."""
        ...


class StageSession(NativeSession):
    """A row of the semantic or coarse stage that also draws whole runs of tokens
    (`backends.base.DrawingSession`)."""

    def __init__(self, model: Transformer, stage: Stage, config: BarkConfig) -> None:
        super().__init__(model)
        self._stage = stage
        self._config = config

    def draw_run(
        self,
        sampling: SamplingParams,
        noise: Noise,
        first_step: int,
        n_steps: int,
        allow_early_stop: bool = True,
        cancel: NDArray[np.int32] | None = None,
    ) -> tuple[Tokens, StopReason | None]:
        """Tokens number `first_step`.. of the request, `n_steps` of them unless the stage ends before.

        Equal to `choose_semantic` or `choose_coarse` step by step (S32-S36). Fewer tokens without a
        reason: `cancel` [1] was set.
        """
        rules = DrawRules(
            sampling=sampling_struct(sampling),
            seed=noise.seed,
            stage=int(self._stage),
            first_step=first_step,
            n_steps=n_steps,
            end_token=-1,
        )
        if self._stage is Stage.SEMANTIC:
            semantic = self._config.semantic_rules
            rules.first_token, rules.n_tokens, rules.n_turns = 0, semantic.semantic_vocab_size, 1
            rules.end_token = semantic.eos_token if allow_early_stop else -1
        else:
            rules.first_token = self._config.coarse_offset
            rules.n_tokens = self._config.codebook_size
            rules.n_turns = self._config.coarse_rules.n_codebooks
        tokens, stop = self.draw(rules, cancel)
        reasons = {Stop.END: StopReason.EOS, Stop.END_PROBABILITY: StopReason.EOS_PROBABILITY}
        return tokens, reasons.get(stop)


class NativeBackend:
    """A Bark in the compiled engine (`backends.base.DrawingBackend`)."""

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
        self._fine = fine
        self._fine_session: FineSession | None = None
        self._fine_lock = threading.Lock()
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
        semantic = causal_shape(config.semantic, precision)
        coarse = causal_shape(config.coarse, precision, coarse_head_starts(config))
        causal, fine, codec = {}, None, None
        if "semantic" in checkpoint.parts:
            causal[Stage.SEMANTIC] = Transformer(pool, semantic, checkpoint.tensors("semantic."))
        if "coarse_acoustics" in checkpoint.parts:
            causal[Stage.COARSE] = Transformer(
                pool, coarse, checkpoint.tensors("coarse_acoustics.")
            )
        if "fine_acoustics" in checkpoint.parts:
            shape = fine_shape(config.fine, precision)
            fine = Transformer(pool, shape, checkpoint.tensors("fine_acoustics."))
        if "codec_model" in checkpoint.parts:
            codec = _codec(config, checkpoint.tensors("codec_model."), pool)
        return cls(config, pool, precision, causal, fine, codec)

    @property
    def description(self) -> str:
        """Engine, kernels, dtype and threads in one line."""
        dtype = self._precision.name.lower()
        return f"native {self._pool.kernels}, cpu, {dtype}, {self._pool.threads} threads"

    @property
    def packed_bytes(self) -> int:
        """Memory of the packed weights of the transformers."""
        models = [*self._causal.values(), *([self._fine] if self._fine else [])]
        return sum(model.packed_bytes for model in models)

    def session(self, stage: Stage) -> StageSession:
        """A fresh cached row of the semantic or coarse stage."""
        return StageSession(held(self._causal.get(stage), stage.name.lower()), stage, self.config)

    def causal_logits(self, stage: Stage, prompt: Prompt) -> NDArray[np.float32]:
        """Logits [V] after the last position of the prompt, from an empty cache."""
        return self.session(stage).prefill(prompt)

    def fine_logits(self, codes: Tokens, k: int) -> NDArray[np.float32]:
        """Logits [N, V] of codebook k for a window of codes [K, N]."""
        with self._fine_lock:
            return self._window().logits(codes, k)

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
        with self._fine_lock:
            return self._window().draw(codes, k, first, sampling_struct(sampling), keys, size)

    def codec_decode(self, codes: Tokens) -> NDArray[np.float32]:
        """Codes [K, F] to a waveform [L]."""
        return held(self._codec, "codec").decode(codes)

    def codec_encode(self, waveform: NDArray[np.float32], n_codebooks: int) -> Tokens:
        """Waveform [L] to codes [K, F]."""
        return held(self._codec, "codec").encode(waveform, n_codebooks)

    def _window(self) -> FineSession:
        # One for all callers, in turn: its memory is worth keeping, a clip runs dozens of windows.
        if self._fine_session is None:
            self._fine_session = FineSession(held(self._fine, "fine"))
        return self._fine_session


def _codec(config: BarkConfig, tensors: Tensors, pool: Pool) -> Codec:
    if isinstance(config.codec, EncodecConfig):
        return NativeEncodec(config.codec, tensors, pool)
    return NativeIstftCodec(config.codec, tensors, pool)


def _precision(dtype: str | None, pool: Pool) -> Precision:
    legal = [name for name, kind in DTYPES.items() if pool.precisions >> int(kind) & 1]
    if (dtype or "float32") not in legal:
        raise ParamError(
            f"dtype is {dtype!r}; legal for the CPU engine with {pool.kernels} kernels: {', '.join(legal)}"
        )
    return DTYPES[dtype or "float32"]
