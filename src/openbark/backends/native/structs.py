"""The structures that cross the border to the compiled engine, field by field as in `src`."""

from __future__ import annotations

import ctypes
from enum import IntEnum

from openbark.params import SamplingParams

MAX_HEAD_PARTS = 16


class Precision(IntEnum):
    """How weights are stored; the numbers are those of `src/matrix.h`."""

    FLOAT32 = 0
    BFLOAT16 = 1
    INT8 = 2
    INT4 = 3


DTYPES = {kind.name.lower(): kind for kind in Precision}
"""Names of the precisions the engine stores weights in."""


class Shape(ctypes.Structure):
    """What a transformer is (`src/model.h`)."""

    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in (
                "block_size",
                "n_in",
                "n_out",
                "n_layer",
                "n_head",
                "n_embd",
                "bias",
                "norm_bias",
                "causal",
                "n_tables",
                "n_codes_given",
                "precision",
                "head_precision",
                "n_heads_cut",
            )
        ),
        ("head_starts", ctypes.c_int32 * MAX_HEAD_PARTS),
    )


class Sampling(ctypes.Structure):
    """How a stage draws (`src/sampling.h`)."""

    _fields_ = (
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("min_eos_p", ctypes.c_double),
        ("top_k", ctypes.c_int32),
    )


class DrawRules(ctypes.Structure):
    """What may be drawn, and how many times (`src/causal.h`)."""

    _fields_ = (
        ("sampling", Sampling),
        ("seed", ctypes.c_uint64),
        ("stage", ctypes.c_int32),
        ("first_step", ctypes.c_int32),
        ("n_steps", ctypes.c_int32),
        ("first_token", ctypes.c_int32),
        ("n_tokens", ctypes.c_int32),
        ("n_codebooks", ctypes.c_int32),
        ("end_token", ctypes.c_int32),
    )


class Run(ctypes.Structure):
    """A row's part in a run of draws (`src/causal.h`)."""

    _fields_ = (
        ("session", ctypes.c_void_p),
        ("rules", ctypes.POINTER(DrawRules)),
        ("cancel", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("count", ctypes.c_int32),
        ("stop", ctypes.c_int32),
    )


def sampling_struct(params: SamplingParams) -> Sampling:
    """Rules that are switched off get the values that never apply."""
    return Sampling(
        params.temperature,
        1.0 if params.top_p is None else params.top_p,
        2.0 if params.min_eos_p is None else params.min_eos_p,
        0 if params.top_k is None else min(params.top_k, 2**31 - 1),
    )
