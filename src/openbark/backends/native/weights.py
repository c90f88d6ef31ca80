"""A transformer's weights packed for the compiled engine.

Embedding tables are used where they are, so that a memory-mapped checkpoint is read row by row; everything
else is packed into one block, tensor by tensor. Knows neither files nor what tokens mean.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.backends.native.capi import MemoryHandle, ModelHandle
from openbark.backends.native.library import Pool
from openbark.backends.native.structs import MAX_HEAD_PARTS, Precision, Shape
from openbark.checkpoints.layouts.shapes import COARSE_PREFIX, FINE_PREFIX, SEMANTIC_PREFIX
from openbark.config import BarkConfig, FineGPTConfig, GPTConfig

Tensors = Mapping[str, NDArray[np.float32]]
"""Tensors of one stage, named as in the checkpoint without the stage's prefix."""


def causal_shape(
    config: GPTConfig, precision: Precision, head_starts: tuple[int, ...] = (0,)
) -> Shape:
    """Shape of a causal stage. `head_starts`: rows of the head at which another set of tokens begins."""
    shape = _shape(config, precision, norm_bias=config.bias)
    shape.causal, shape.n_tables, shape.n_codes_given = 1, 1, 0
    shape.n_heads_cut = len(head_starts)
    shape.head_starts = (ctypes.c_int32 * MAX_HEAD_PARTS)(*head_starts)
    return shape


def fine_shape(config: FineGPTConfig, precision: Precision) -> Shape:
    """Shape of the fine stage. int4 means int8 here: a pass over a window is bound by arithmetic, of which
    4-bit weights need more."""
    kept = Precision.INT8 if precision is Precision.INT4 else precision
    shape = _shape(config, kept, norm_bias=True)
    shape.causal, shape.n_tables = 0, config.n_codes_total
    shape.n_codes_given = config.n_codes_given
    return shape


def stage_shapes(config: BarkConfig, precision: Precision) -> dict[str, Shape]:
    """Shapes of the three transformers, by their prefixes in a checkpoint."""
    return {
        SEMANTIC_PREFIX: causal_shape(config.semantic, precision),
        COARSE_PREFIX: causal_shape(config.coarse, precision, coarse_head_starts(config)),
        FINE_PREFIX: fine_shape(config.fine, precision),
    }


def coarse_head_starts(config: BarkConfig) -> tuple[int, ...]:
    """Rows of the coarse head where the codebooks begin, and where they end."""
    n_codebooks = config.coarse_rules.n_codebooks
    starts = [config.coarse_offset + k * config.codebook_size for k in range(n_codebooks + 1)]
    if len(starts) + 1 > MAX_HEAD_PARTS:
        starts = []
    return (0, *(start for start in starts if 0 < start < config.coarse.output_vocab_size))


def _shape(config: GPTConfig, precision: Precision, norm_bias: bool) -> Shape:
    # 4-bit heads are audible at once: the distribution over a thousand codes is all there is.
    head = Precision.INT8 if precision is Precision.INT4 else precision
    return Shape(
        block_size=config.block_size,
        n_in=config.input_vocab_size,
        n_out=config.output_vocab_size,
        n_layer=config.n_layer,
        n_head=config.n_head,
        n_embd=config.n_embd,
        bias=int(config.bias),
        norm_bias=int(norm_bias),
        precision=int(precision),
        head_precision=int(head),
    )


class Transformer:
    """Packed weights of one stage, ready for sessions once `pack` or `packed`, and `use_tables`, filled them."""

    def __init__(self, pool: Pool, shape: Shape) -> None:
        """Memory for the weights of `shape`, still empty."""
        self.pool = pool
        self.shape = shape
        size = ctypes.c_size_t()
        pool.call("ob_model_bytes", pool.handle, ctypes.byref(shape), ctypes.byref(size))
        self.packed_bytes = size.value
        self._memory, start = _allocate(pool, size.value, self)
        handle = ModelHandle()
        pool.call("ob_model_create", pool.handle, ctypes.byref(shape), start, ctypes.byref(handle))
        self.handle = handle
        weakref.finalize(self, pool.library.ob_model_destroy, handle)
        self._start = start
        self._tables: list[NDArray[np.float32]] = []

    @property
    def precision(self) -> Precision:
        """Of the blocks' weights; heads have at least 8 bits."""
        return Precision(self.shape.precision)

    @property
    def packed(self) -> NDArray[np.uint8]:
        """The packed weights themselves [packed_bytes], to be written to a file or filled from one; valid as
        long as this object."""
        kind = ctypes.c_uint8 * self.packed_bytes
        return np.ctypeslib.as_array(kind.from_address(self._start.value or 0))

    def pack(self, tensors: Tensors) -> None:
        """Pack every tensor but the embedding tables in the shape's precision, taking one at a time."""
        for name in tensors:
            if not self._is_table_only(name):
                self._put(name, tensors[name])

    def use_tables(self, tensors: Tensors) -> None:
        """Look embeddings up in the tables of `tensors`, where they are."""
        # A table that was packed too is taken anew: the pages of a mapped file that packing read go.
        self._tables = [
            np.ascontiguousarray(tensors[name], dtype=np.float32)
            for name in _table_names(self.shape)
        ]
        for index, table in enumerate(self._tables):
            self.pool.library.ob_model_table(self.handle, index, table)

    def release_rows(self) -> None:
        """Let go of the pages of mapped tables that lookups have brought in; the next lookup brings them back.

        A lookup of one row brings in its neighbours too, and a clip touches hundreds.
        """
        for table in self._tables:
            mapped = _mapping(table)
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)

    def _is_table_only(self, name: str) -> bool:
        if self.shape.causal:
            return name == "input_embeds_layer.weight"
        tied = range(1, self.shape.n_tables - self.shape.n_codes_given + 1)
        return name.startswith("input_embeds_layers.") and int(name.split(".")[1]) not in tied

    def _put(self, name: str, array: NDArray[np.float32]) -> None:
        data = np.ascontiguousarray(array, dtype=np.float32)
        self.pool.call(
            "ob_model_put",
            self.handle,
            self.pool.handle,
            name.encode(),
            data,
        )


def _table_names(shape: Shape) -> list[str]:
    if shape.causal:
        return ["input_embeds_layer.weight"]
    return [f"input_embeds_layers.{k}.weight" for k in range(shape.n_tables)]


def _mapping(array: NDArray[np.float32]) -> mmap.mmap | None:
    """The read-only mapping of a file that an array lies in."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return None
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def _allocate(pool: Pool, size: int, owner: object) -> tuple[MemoryHandle, ctypes.c_void_p]:
    memory, start = MemoryHandle(), ctypes.c_void_p()
    pool.call("ob_memory_create", size, ctypes.byref(memory), ctypes.byref(start))
    weakref.finalize(owner, pool.library.ob_memory_destroy, memory)
    return memory, start
