"""Rows of the causal stages and windows of the fine stage, computed and drawn in the compiled engine.

A session has its own cache and scratch memory and belongs to one thread at a time. The stages' rules arrive as
numbers; they are made in `openbark.backends.native.backend`.
"""

from __future__ import annotations

import ctypes
import weakref
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Tokens
from openbark.backends.native.structs import DrawRules, Sampling
from openbark.backends.native.weights import Transformer
from openbark.stages.semantic import Prompt

__all__ = ["FineSession", "NativeSession", "Stop"]


class Stop(IntEnum):
    """Why a run of draws ended; the numbers are those of `src/causal.h`."""

    LIMIT = 0
    END = 1
    END_PROBABILITY = 2
    CANCELLED = 3


def _address(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class NativeSession:
    """One cached row of a causal stage (`backends.base.CausalSession`), and whole runs of draws."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._pool = model.pool
        handle = ctypes.c_void_p()
        self._pool.call("ob_causal_create", self._pool.handle, model.handle, ctypes.byref(handle))
        self._handle = handle
        weakref.finalize(self, self._pool.library.ob_causal_destroy, handle)

    def read(self, prompt: Prompt) -> None:
        """Start over with a prompt. Leading positions that already hold the same tokens are kept."""
        ids = np.ascontiguousarray(prompt.ids, dtype=np.int64)
        empty = np.zeros(0, dtype=np.int64)
        summed = np.ascontiguousarray(empty if prompt.summed is None else prompt.summed, np.int64)
        self._pool.call(
            "ob_causal_prefill",
            self._handle,
            _address(ids),
            ctypes.c_int(ids.size),
            _address(summed),
            ctypes.c_int(summed.size),
        )

    @property
    def n_reused(self) -> int:
        """Positions of the last prompt that were in the cache before."""
        return int(self._pool.library.ob_causal_reused(self._handle))

    def prefill(self, prompt: Prompt) -> NDArray[np.float32]:
        """Start over with a prompt; logits [V] after its last position."""
        self.read(prompt)
        return self._logits()

    def step(self, token: int) -> NDArray[np.float32]:
        """Append one token; logits [V] after it."""
        self._pool.call("ob_causal_step", self._handle, ctypes.c_int64(token))
        return self._logits()

    def _logits(self) -> NDArray[np.float32]:
        out = np.empty(self._model.shape.n_out, dtype=np.float32)
        self._pool.call("ob_causal_logits", self._handle, _address(out))
        return out

    def draw(
        self, rules: DrawRules, cancel: NDArray[np.int32] | None = None
    ) -> tuple[Tokens, Stop]:
        """Draw up to `rules.n_steps` tokens, each read before the next is drawn.

        `cancel` [1] is looked at before every step: another thread stops the run by writing 1.
        """
        out = np.empty(max(rules.n_steps, 1), dtype=np.int32)
        count, stop = ctypes.c_int(), ctypes.c_int()
        self._pool.call(
            "ob_causal_draw",
            self._handle,
            ctypes.byref(rules),
            None if cancel is None else _address(cancel),
            _address(out),
            ctypes.byref(count),
            ctypes.byref(stop),
        )
        return out[: count.value].astype(np.int64), Stop(stop.value)


class FineSession:
    """Scratch memory for windows of the fine stage."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._pool = model.pool
        handle = ctypes.c_void_p()
        self._pool.call("ob_fine_create", self._pool.handle, model.handle, ctypes.byref(handle))
        self._handle = handle
        weakref.finalize(self, self._pool.library.ob_fine_destroy, handle)

    def logits(self, codes: Tokens, k: int, first: int = 0) -> NDArray[np.float32]:
        """Logits [N - first, V] of codebook k at frames first.. of a window of codes [K, N]."""
        window = np.ascontiguousarray(codes, dtype=np.int64)
        n_frames = window.shape[1]
        out = np.empty((max(n_frames - first, 0), self._model.shape.n_out), dtype=np.float32)
        self._pool.call(
            "ob_fine_logits",
            self._handle,
            _address(window),
            ctypes.c_int(n_frames),
            ctypes.c_int(k),
            ctypes.c_int(first),
            _address(out),
        )
        return out

    def draw(
        self,
        codes: Tokens,
        k: int,
        first: int,
        sampling: Sampling,
        noise: tuple[int, int, int],
        n_codes: int,
    ) -> Tokens:
        """Codebook k drawn at frames first.. of a window of codes [K, N]; only the frames that are drawn
        are computed to the end. `noise`: seed, stage, and the noise row of the first frame drawn."""
        window = np.ascontiguousarray(codes, dtype=np.int64)
        n_frames = window.shape[1]
        out = np.empty(max(n_frames - first, 0), dtype=np.int64)
        seed, stage, row = noise
        self._pool.call(
            "ob_fine_draw",
            self._handle,
            _address(window),
            ctypes.c_int(n_frames),
            ctypes.c_int(k),
            ctypes.c_int(first),
            ctypes.byref(sampling),
            ctypes.c_uint64(seed),
            ctypes.c_int(stage),
            ctypes.c_int(row),
            ctypes.c_int(n_codes),
            _address(out),
        )
        return out
