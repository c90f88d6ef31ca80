"""Rows of the causal stages and windows of the fine stage, computed and drawn in the compiled engine.

A session has its own cache and scratch memory and belongs to one thread at a time. The stages' rules arrive as
numbers; they are made in `openbark.backends.native.backend`.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Flag
from openbark.backends.native.capi import CausalHandle, FineHandle, StageHandle
from openbark.backends.native.structs import DrawRules, Run, Sampling
from openbark.backends.native.weights import Transformer
from openbark.stages.semantic import Prompt
from openbark.types import Tokens


class Stop(IntEnum):
    """Why a run of draws ended; the numbers are those of `src/causal.h`."""

    LIMIT = 0
    END = 1
    END_PROBABILITY = 2
    CANCELLED = 3


class CausalStage:
    """What the rows of one causal stage share, and the place where they draw together."""

    def __init__(self, model: Transformer) -> None:
        self.model = model
        self.pool = model.pool
        handle = StageHandle()
        self.pool.call("ob_stage_create", self.pool.handle, model.handle, ctypes.byref(handle))
        self.handle = handle
        weakref.finalize(self, self.pool.library.ob_stage_destroy, handle)

    def draw(self, draws: Sequence[Draw]) -> list[tuple[Tokens, Stop]]:
        """Up to `n_steps` tokens for each of the rows, which advance together; a row that ends early makes
        room. Each gets what it would get alone. Raises InputError before anything is drawn."""
        width = max((rules.n_steps for _, rules, _ in draws), default=0)
        out = np.empty((len(draws), max(width, 1)), dtype=np.int32)
        runs = (Run * len(draws))()
        for row, run, (session, rules, cancel) in zip(out, runs, draws, strict=True):
            run.session = session.handle
            run.rules = ctypes.pointer(rules)
            run.cancel = None if cancel is None else cancel.ctypes.data
            run.out = row.ctypes.data
        self.pool.call("ob_stage_draw", self.handle, runs, len(draws))
        return [
            (row[: run.count].astype(np.int64), Stop(run.stop))
            for row, run in zip(out, runs, strict=True)
        ]


class NativeSession:
    """One cached row of a causal stage (`backends.base.CausalSession`), and whole runs of draws."""

    def __init__(self, rows: CausalStage) -> None:
        self.rows = rows
        self._pool = rows.pool
        handle = CausalHandle()
        self._pool.call("ob_causal_create", rows.handle, ctypes.byref(handle))
        self.handle = handle
        weakref.finalize(self, self._pool.library.ob_causal_destroy, handle)

    def read(self, prompt: Prompt) -> None:
        """Start over with a prompt. Leading positions that already hold the same tokens are kept."""
        ids = np.ascontiguousarray(prompt.ids, dtype=np.int64)
        empty = np.zeros(0, dtype=np.int64)
        summed = np.ascontiguousarray(empty if prompt.summed is None else prompt.summed, np.int64)
        self._pool.call(
            "ob_causal_prefill",
            self.handle,
            ids,
            ids.size,
            summed,
            summed.size,
        )

    @property
    def n_reused(self) -> int:
        """Positions of the last prompt that were in the cache before."""
        return int(self._pool.library.ob_causal_reused(self.handle))

    def prefill(self, prompt: Prompt) -> NDArray[np.float32]:
        """Start over with a prompt; logits [V] after its last position."""
        self.read(prompt)
        return self._logits()

    def step(self, token: int) -> NDArray[np.float32]:
        """Append one token; logits [V] after it."""
        self._pool.call("ob_causal_step", self.handle, token)
        return self._logits()

    def _logits(self) -> NDArray[np.float32]:
        out = np.empty(self.rows.model.shape.n_out, dtype=np.float32)
        self._pool.call("ob_causal_logits", self.handle, out)
        return out

    def draw(self, rules: DrawRules, cancel: Flag | None = None) -> tuple[Tokens, Stop]:
        """Draw up to `rules.n_steps` tokens, each read before the next is drawn.

        `cancel` [1] is looked at before every step: another thread stops the run by writing 1.
        """
        return self.rows.draw([(self, rules, cancel)])[0]


Draw = tuple[NativeSession, DrawRules, Flag | None]
"""A row, what it may draw, and the number [1] that stops it once it is not 0."""


class FineSession:
    """Scratch memory for windows of the fine stage."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._pool = model.pool
        handle = FineHandle()
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
            window,
            n_frames,
            k,
            first,
            out,
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
            window,
            n_frames,
            k,
            first,
            ctypes.byref(sampling),
            seed,
            stage,
            row,
            n_codes,
            out,
        )
        return out
