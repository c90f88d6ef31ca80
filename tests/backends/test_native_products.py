"""Products of packed matrices against numpy on the same rounded numbers, every precision and kernel variant."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from native_engine import needs_engine, variants
from numpy.typing import NDArray

from openbark.backends.native.capi import MatrixHandle
from openbark.backends.native.library import Pool
from openbark.backends.native.structs import Precision

pytestmark = needs_engine

GROUP = 32
STORE, ADD, GELU = 0, 1, 2
SHAPES = (
    (1, 64, 32),
    (1, 200, 768),
    (2, 65, 36),
    (3, 1, 1),
    (7, 100, 33),
    (13, 129, 96),
    (97, 70, 64),  # more rows than it takes to widen 4-bit weights
)

Array = NDArray[np.float64]


def _product(
    pool: Pool,
    precision: Precision,
    x: NDArray[np.float32],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32] | None = None,
    finish: int = STORE,
    before: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    n, k = weights.shape
    handle = MatrixHandle()
    rows = np.ascontiguousarray(weights)
    pool.call("ob_matrix_create", pool.handle, int(precision), n, k, rows, ctypes.byref(handle))
    y = np.zeros((len(x), n), np.float32) if before is None else before.copy()
    pool.call(
        "ob_matrix_product",
        handle,
        pool.handle,
        len(x),
        np.ascontiguousarray(x),
        bias,
        finish,
        y,
        1,
    )
    pool.library.ob_matrix_destroy(handle)
    return y


def _bfloat16(x: NDArray[np.float32]) -> Array:
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(np.float64)


def _int8(x: NDArray[np.float32]) -> Array:
    """Rows rounded to 127 steps each way of their largest value."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    inverse = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    return np.rint(x * inverse).astype(np.float64) * (largest.astype(np.float64) / 127)


def _groups(x: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.zeros((len(x), math.ceil(x.shape[1] / GROUP) * GROUP), np.float32)
    padded[:, : x.shape[1]] = x
    return padded.reshape(len(x), -1, GROUP)


def _int4(x: NDArray[np.float32]) -> Array:
    """Groups of 32 along a row: -8..7 times a whole factor up to 15, times a scale of the row.

    A group's largest value is to be -8; of the two factors around that, the one with the smaller error is taken.
    """
    groups = _groups(x)
    at = np.abs(groups).argmax(axis=2)[..., None]
    wanted = np.take_along_axis(groups, at, 2) / np.float32(-8)
    scale = np.abs(wanted).max(axis=1, keepdims=True) / np.float32(15)
    factor = np.divide(wanted, scale, out=np.zeros_like(wanted), where=scale > 0)
    size = np.minimum(np.floor(np.abs(factor)), 15)
    rounded = []
    for candidate in (size, np.minimum(size + 1, 15)):
        step = np.where(factor < 0, -candidate, candidate) * scale
        steps = np.divide(groups, step, out=np.zeros_like(groups), where=step != 0)
        rounded.append(np.clip(np.rint(steps), -8, 7).astype(np.float64) * step)
    errors = [((got - groups) ** 2).sum(axis=2, keepdims=True) for got in rounded]
    best = np.where(errors[0] <= errors[1], *rounded)
    return best.reshape(len(x), -1)[:, : x.shape[1]]


ROUNDING = {
    Precision.FLOAT32: (lambda x: x.astype(np.float64), lambda x: x.astype(np.float64)),
    Precision.BFLOAT16: (_bfloat16, _bfloat16),
    Precision.INT8: (_int8, _int8),
    Precision.INT4: (_int8, _int4),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("kernels", variants())
def test_products_of_rounded_numbers_are_exact(
    kernels: str, precision: Precision, threads: int
) -> None:
    pool = Pool(threads, kernels)
    if not pool.precisions >> precision & 1:
        pytest.skip(f"{kernels} has no {precision.name.lower()} arithmetic")
    generator = np.random.default_rng(int(precision))
    for m, n, k in SHAPES:
        x = generator.standard_normal((m, k), dtype=np.float32)
        weights = generator.standard_normal((n, k), dtype=np.float32)
        weights[0] = 0.0
        x[-1] = 0.0
        bias = generator.standard_normal(n, dtype=np.float32)
        before = generator.standard_normal((m, n), dtype=np.float32)
        round_x, round_weights = ROUNDING[precision]
        expected = round_x(x) @ round_weights(weights).T
        tolerance = 2e-6 * k + 1e-5
        got = _product(pool, precision, x, weights)
        np.testing.assert_allclose(got, expected, atol=tolerance, rtol=1e-5)
        got = _product(pool, precision, x, weights, bias, ADD, before)
        np.testing.assert_allclose(got, expected + bias + before, atol=tolerance, rtol=1e-5)
        total = expected + bias
        gelu = total * 0.5 * (1 + np.vectorize(math.erf)(total / math.sqrt(2)))
        got = _product(pool, precision, x, weights, bias, GELU)
        np.testing.assert_allclose(got, gelu, atol=tolerance, rtol=1e-5)


@pytest.mark.parametrize("kernels", variants())
def test_a_row_is_the_same_alone_and_among_others(kernels: str) -> None:
    pool = Pool(2, kernels)
    generator = np.random.default_rng(0)
    x = generator.standard_normal((100, 288), dtype=np.float32)
    weights = generator.standard_normal((150, 288), dtype=np.float32)
    # Rows that draw together are multiplied otherwise than a prompt's; 18 of them at most.
    few = (slice(10, 10 + n) for n in (2, 3, 6, 7, 8, 11, 12, 13, 16, 18, 19))
    parts = (slice(0, 1), slice(17, 18), slice(99, 100), *few, slice(20, 70))
    for precision in Precision:
        if pool.precisions >> precision & 1:
            together = _product(pool, precision, x, weights)
            for rows in parts:
                alone = _product(pool, precision, x[rows], weights)
                np.testing.assert_array_equal(alone, together[rows])


def test_four_bits_lose_no_more_than_with_a_scale_for_every_group() -> None:
    weights = np.random.default_rng(0).standard_normal((256, 768)).astype(np.float32)
    groups = _groups(weights)
    step = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], 2) / -8
    own = np.clip(np.rint(groups / step), -8, 7) * step
    assert np.square(_int4(weights) - weights).mean() < np.square(own - groups).mean()
