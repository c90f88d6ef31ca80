"""The C interface as ctypes sees it: one table of every function's result and arguments, as in `include/openbark.h`.

`declare` puts the table on a library that was opened. A handle has a type of its own, and an array is checked for its
element type and its order in memory, so that a wrong argument is a TypeError and not damaged memory. A test compares the
table, the structures and the numbers with the header.
"""

from __future__ import annotations

import ctypes
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from openbark.backends.native.structs import Run, Sampling, Shape


class PoolHandle(ctypes.c_void_p):
    """ob_pool*"""


class MemoryHandle(ctypes.c_void_p):
    """ob_memory*"""


class MatrixHandle(ctypes.c_void_p):
    """ob_matrix*"""


class ModelHandle(ctypes.c_void_p):
    """ob_model*"""


class StageHandle(ctypes.c_void_p):
    """ob_stage*"""


class CausalHandle(ctypes.c_void_p):
    """ob_session*"""


class FineHandle(ctypes.c_void_p):
    """ob_fine*"""


class CodecHandle(ctypes.c_void_p):
    """ob_codec*"""


class CodecStreamHandle(ctypes.c_void_p):
    """ob_codec_stream*"""


HANDLES: dict[str, type[ctypes.c_void_p]] = {
    "ob_pool": PoolHandle,
    "ob_memory": MemoryHandle,
    "ob_matrix": MatrixHandle,
    "ob_model": ModelHandle,
    "ob_stage": StageHandle,
    "ob_session": CausalHandle,
    "ob_fine": FineHandle,
    "ob_codec": CodecHandle,
    "ob_codec_stream": CodecStreamHandle,
}
"""Handle types by their names in the header."""


class Array:
    """An argument type: a contiguous numpy array of one element type, or None for a null pointer."""

    def __init__(self, dtype: type[np.generic], writable: bool = False) -> None:
        self.dtype = np.dtype(dtype)
        self.writable = writable

    def __repr__(self) -> str:
        return f"{'' if self.writable else 'const '}{self.dtype.name}*"

    def from_param(self, value: object) -> ctypes.c_void_p | None:
        """What ctypes hands over. Raises TypeError for anything else."""
        if value is None:
            return None
        if not isinstance(value, np.ndarray) or value.dtype != self.dtype:
            kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise TypeError(f"expected a numpy array of {self.dtype}, got {kind}")
        if not value.flags.c_contiguous or (self.writable and not value.flags.writeable):
            raise TypeError("expected a contiguous array, writable where results go")
        return ctypes.c_void_p(value.ctypes.data)


_int, _size, _pointer = ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p
_int64, _uint64, _double, _text = (
    ctypes.c_int64,
    ctypes.c_uint64,
    ctypes.c_double,
    ctypes.c_char_p,
)
_int32s, _int64s, _floats = Array(np.int32), Array(np.int64), Array(np.float32)
_int32s_out, _int64s_out = Array(np.int32, True), Array(np.int64, True)
_floats_out, _doubles_out = Array(np.float32, True), Array(np.float64, True)
_ints_by_ref, _sampling = ctypes.POINTER(_int), ctypes.POINTER(Sampling)


def _out(kind: type[Any]) -> Any:
    return ctypes.POINTER(kind)


SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "ob_version": (_uint64, ()),
    "ob_error": (_text, ()),
    "ob_isa_available": (_int, (_int,)),
    "ob_best_isa": (_int, ()),
    "ob_usable_cores": (_int, ()),
    "ob_checksum": (_uint64, (_pointer, _size)),
    "ob_memory_trim": (None, ()),
    "ob_memory_create": (_int, (_size, _out(MemoryHandle), _out(_pointer))),
    "ob_memory_destroy": (None, (MemoryHandle,)),
    "ob_pool_create": (_int, (_int, _int, _out(PoolHandle))),
    "ob_pool_destroy": (None, (PoolHandle,)),
    "ob_pool_size": (_int, (PoolHandle,)),
    "ob_pool_kernels": (_text, (PoolHandle,)),
    "ob_pool_precisions": (_int, (PoolHandle,)),
    "ob_model_bytes": (_int, (PoolHandle, _out(Shape), _out(_size))),
    "ob_model_create": (_int, (PoolHandle, _out(Shape), _pointer, _out(ModelHandle))),
    "ob_model_destroy": (None, (ModelHandle,)),
    "ob_model_put": (_int, (ModelHandle, PoolHandle, _text, _floats)),
    "ob_model_table": (None, (ModelHandle, _int, _floats)),
    "ob_stage_create": (_int, (PoolHandle, ModelHandle, _out(StageHandle))),
    "ob_stage_destroy": (None, (StageHandle,)),
    "ob_stage_draw": (_int, (StageHandle, _out(Run), _int)),
    "ob_causal_create": (_int, (StageHandle, _out(CausalHandle))),
    "ob_causal_destroy": (None, (CausalHandle,)),
    "ob_causal_prefill": (_int, (CausalHandle, _int64s, _int, _int64s, _int)),
    "ob_causal_reused": (_int, (CausalHandle,)),
    "ob_causal_step": (_int, (CausalHandle, _int64)),
    "ob_causal_logits": (_int, (CausalHandle, _floats_out)),
    "ob_fine_create": (_int, (PoolHandle, ModelHandle, _out(FineHandle))),
    "ob_fine_destroy": (None, (FineHandle,)),
    "ob_fine_logits": (_int, (FineHandle, _int64s, _int, _int, _int, _floats_out)),
    "ob_fine_draw": (
        _int,
        (
            *(FineHandle, _int64s, _int, _int, _int, _sampling),
            *(_uint64, _int, _int, _int, _int64s_out),
        ),
    ),
    "ob_codec_create": (
        _int,
        (
            *(PoolHandle, _int, _int32s, _int, _out(_pointer)),
            *(_int64s, _int, _out(CodecHandle)),
        ),
    ),
    "ob_codec_destroy": (None, (CodecHandle,)),
    "ob_codec_decode": (_int, (CodecHandle, PoolHandle, _int32s, _int, _int, _floats_out)),
    "ob_codec_encode": (_int, (CodecHandle, PoolHandle, _floats, _int64, _int, _int32s_out)),
    "ob_codec_stream_create": (_int, (CodecHandle, _out(CodecStreamHandle))),
    "ob_codec_stream_destroy": (None, (CodecStreamHandle,)),
    "ob_codec_stream_push": (
        _int,
        (CodecStreamHandle, PoolHandle, _int32s, _int, _int, _int, _floats_out, _ints_by_ref),
    ),
    "ob_probe_read": (_int, (PoolHandle, _size, _int, _doubles_out)),
    "ob_probe_gemm": (_int, (PoolHandle, _int, _int, _doubles_out, _out(_double))),
    "ob_matrix_create": (_int, (PoolHandle, _int, _int, _int, _floats, _out(MatrixHandle))),
    "ob_matrix_destroy": (None, (MatrixHandle,)),
    "ob_matrix_product": (
        _int,
        (MatrixHandle, PoolHandle, _int, _floats, _floats, _int, _floats_out, _int),
    ),
    "ob_attention": (
        _int,
        (
            *(PoolHandle, _int, _int, _int, _floats, _floats),
            *(_int, _int, _int, _floats, _floats_out),
        ),
    ),
    "ob_uniform": (_double, (_uint64, _int, _int, _int)),
    "ob_draw_row": (
        _int,
        (
            *(PoolHandle, _floats, _int, _sampling, _double, _int),
            *(_ints_by_ref, _ints_by_ref, _ints_by_ref, _out(_double)),
        ),
    ),
}
"""Every function of the library: name -> (result, arguments)."""


def header_path() -> Path:
    """The header that this table belongs to."""
    return Path(__file__).parent / "include" / "openbark.h"


@cache
def header_version() -> int:
    """What `ob_version` of a library that was built from this header returns."""
    return int(hashlib.sha256(header_path().read_bytes()).hexdigest()[:16], 16)


def declare(library: ctypes.CDLL) -> None:
    """Give every function its types. Raises AttributeError for one that the library lacks."""
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
