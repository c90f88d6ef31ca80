"""Rounded weights against exact ones: how far logits move, and that all kernel variants agree on it."""

from __future__ import annotations

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine, variants
from numpy.typing import NDArray

from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool
from openbark.backends.native.structs import DTYPES
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

pytestmark = needs_engine

# Largest part of the logits' own spread that rounding may add as error, on random weights of two layers.
ERROR = {"float32": 1e-5, "bfloat16": 0.03, "int8": 0.05, "int4": 0.35}


def _load(dtype: str, kernels: str) -> NativeBackend:
    if not Pool(1, kernels).precisions >> DTYPES[dtype] & 1:
        pytest.skip(f"{kernels} has no {dtype} arithmetic")
    checkpoint = checkpoint_in_memory(CONFIGS["wide"])
    return NativeBackend.load(checkpoint, dtype, threads=2, kernels=kernels)


def _ids(backend: NativeBackend, n: int) -> NDArray[np.int64]:
    return np.random.default_rng(n).integers(0, backend.config.coarse.input_vocab_size, n)


def _relative_error(got: NDArray[np.floating], exact: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(got - exact)) / np.var(exact)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernels", variants())
def test_N4_rounding_moves_logits_little(dtype: str, kernels: str) -> None:
    backend, exact = _load(dtype, kernels), _load("float32", "generic")
    assert dtype in backend.description
    assert backend.packed_bytes <= exact.packed_bytes * 1.05
    ids = _ids(backend, 150)
    got = backend.causal_logits(Stage.COARSE, Prompt(ids))
    assert _relative_error(got, exact.causal_logits(Stage.COARSE, Prompt(ids))) < ERROR[dtype]
    codes = np.random.default_rng(2).integers(0, 33, (8, 100))
    error = _relative_error(backend.fine_logits(codes, 3), exact.fine_logits(codes, 3))
    # The fine stage is int8 where the others are int4.
    assert error < ERROR["int8" if dtype == "int4" else dtype]
    assert ("fine stage int8" in backend.description) == (dtype == "int4")


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("kernels", variants())
def test_variants_round_alike(dtype: str, kernels: str) -> None:
    backend, generic = _load(dtype, kernels), _load(dtype, "generic")
    prompt = Prompt(_ids(backend, 90))
    got = backend.causal_logits(Stage.COARSE, prompt)
    # A float that falls between two steps may be rounded either way.
    assert _relative_error(got, generic.causal_logits(Stage.COARSE, prompt)) < 0.03


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "int4"])
def test_a_row_does_not_depend_on_how_it_was_read(dtype: str) -> None:
    backend = _load(dtype, variants()[-1])
    ids = _ids(backend, 288)
    whole = backend.session(Stage.COARSE).prefill(Prompt(ids))
    session = backend.session(Stage.COARSE)
    session.read(Prompt(ids[:281]))
    session.read(Prompt(ids[:284]))
    assert session.n_reused == 281
    for token in ids[284:].tolist():
        logits = session.step(token)
    np.testing.assert_array_equal(logits, whole)
