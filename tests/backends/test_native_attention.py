"""One head's attention over every kind of cache: against exact attention, and 8 bits against a plain twin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from native_engine import needs_engine, variants
from numpy.typing import NDArray

from openbark.backends.native.library import Pool
from openbark.backends.native.structs import Precision
from openbark.errors import InputError

pytestmark = needs_engine

Array = NDArray[np.float64]

# Error of a mixed value beside the largest value, for keys and queries of standard deviation 1 and 2 in float32,
# bfloat16 and 8 bits.
ERROR = {
    Precision.FLOAT32: 2e-6,
    Precision.BFLOAT16: 0.02,
    Precision.INT8: 0.02,
    Precision.INT4: 0.02,
}
SHAPES = ((64, 1), (64, 700), (48, 17), (16, 130), (20, 33), (14, 40), (7, 5), (1, 3), (256, 100))
WEIGHT_STEPS = 127 * 256
PRECISIONS = tuple(Precision)
QUANTISED = Precision.INT8


@dataclass(frozen=True)
class Head:
    """Keys and values [N, D] and queries [R, D] of one head."""

    keys: NDArray[np.float32]
    values: NDArray[np.float32]
    queries: NDArray[np.float32]


def _head(n: int, dim: int, rows: int, spread: float = 1.0, seed: int = 0) -> Head:
    generator = np.random.default_rng(seed)
    keys, values = generator.standard_normal((2, n, dim), dtype=np.float32)
    queries = generator.standard_normal((rows, dim), dtype=np.float32)
    return Head(keys, values, queries * np.float32(spread))


def _pool(kernels: str, precision: Precision) -> Pool:
    pool = Pool(1, kernels)
    if not pool.precisions >> precision & 1:
        pytest.skip(f"{kernels} has no {precision.name.lower()} arithmetic")
    return pool


def _attend(
    pool: Pool, precision: Precision, head: Head, visible: int | None = None, visible_step: int = 0
) -> NDArray[np.float32]:
    """Mixed values [R, D]; row r sees the first visible + r * visible_step positions."""
    keys, values, queries = (
        np.ascontiguousarray(x) for x in (head.keys, head.values, head.queries)
    )
    n, dim = head.keys.shape
    out = np.full(head.queries.shape, np.nan, np.float32)
    seen = n if visible is None else visible
    pool.call(
        "ob_attention",
        pool.handle,
        int(precision),
        dim,
        n,
        keys,
        values,
        len(head.queries),
        seen,
        visible_step,
        queries,
        out,
    )
    return out


def _exact(head: Head) -> Array:
    scores = head.queries.astype(np.float64) @ head.keys.T.astype(np.float64)
    scores /= np.sqrt(head.keys.shape[1])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ head.values.astype(np.float64)


def _in_bytes(x: NDArray[np.float32], least: float = 0.0) -> tuple[Array, Array]:
    """Whole numbers [N, D] up to 127 and the scale [N, 1] of each row."""
    largest = np.maximum(np.abs(x).max(axis=1, keepdims=True), np.float32(least))
    inverse = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    return np.rint(x * inverse).astype(np.float64), largest.astype(np.float64) / 127


def _twin(head: Head) -> Array:
    """Attention over 8-bit keys and values as the kernels are meant to compute it."""
    (q, q_scale), (k, k_scale) = _in_bytes(head.queries), _in_bytes(head.keys)
    v, v_scale = _in_bytes(head.values, 1e-18)
    scores = (q @ k.T) * q_scale * k_scale.T / np.sqrt(head.keys.shape[1])
    logs = scores + np.log(v_scale.T)
    scaled = np.exp(logs - logs.max(axis=1, keepdims=True)) * WEIGHT_STEPS
    return np.rint(scaled) @ v / (scaled / v_scale.T).sum(axis=1, keepdims=True)


def _error(got: NDArray[np.float32], exact: Array, head: Head) -> float:
    return float(np.abs(got - exact).max() / np.abs(head.values).max())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernels", variants())
def test_N4_attention_is_near_exact_attention(kernels: str, precision: Precision) -> None:
    pool = _pool(kernels, precision)
    for dim, n in SHAPES:
        for spread in (1.0, 2.0):
            head = _head(n, dim, rows=15, spread=spread)
            assert _error(_attend(pool, precision, head), _exact(head), head) < ERROR[precision]


@pytest.mark.parametrize("kernels", variants())
def test_eight_bits_are_what_the_plain_twin_says(kernels: str) -> None:
    pool = _pool(kernels, QUANTISED)
    for dim, n in SHAPES:
        head = _head(n, dim, rows=9, spread=3.0)
        # Half a step of a weight, and of a float that falls between two steps, either way.
        assert _error(_attend(pool, QUANTISED, head), _twin(head), head) < 1e-3


@pytest.mark.parametrize("kernels", variants())
def test_a_long_flat_tail_behind_a_sink_keeps_its_mass(kernels: str) -> None:
    """One key has half the weight, a thousand share the other half: 8-bit weights would lose all of it."""
    dim, n = 64, 1001
    direction = np.ones(dim, np.float32)
    keys = np.zeros((n, dim), np.float32)
    keys[0] = direction * np.float32(np.log(n - 1) / 8)
    for sink in (0.0, 0.01, 1.0, 30.0):
        values = np.ones((n, dim), np.float32)
        values[0] = sink
        head = Head(keys, values, direction[None])
        got = _attend(_pool(kernels, QUANTISED), QUANTISED, head)
        np.testing.assert_allclose(got, 0.5 + sink / 2, rtol=0.02)


@pytest.mark.parametrize("kernels", variants())
def test_a_huge_value_that_nobody_looks_at_changes_nothing(kernels: str) -> None:
    head = _head(300, 64, rows=7)
    head.queries[:] = np.abs(head.queries)
    head.keys[5], head.values[5] = -50.0, 1e4
    got = _attend(_pool(kernels, QUANTISED), QUANTISED, head)
    without = Head(np.delete(head.keys, 5, 0), np.delete(head.values, 5, 0), head.queries)
    assert _error(got, _exact(without), without) < ERROR[QUANTISED]


@pytest.mark.parametrize("kernels", variants())
def test_one_large_dimension_of_keys_costs_little(kernels: str) -> None:
    """A channel ten times as large as the others leaves them a tenth of the steps."""
    head = _head(500, 64, rows=8)
    head.keys[:, 3] += 10.0
    assert _error(_attend(_pool(kernels, QUANTISED), QUANTISED, head), _exact(head), head) < 0.03


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernels", variants())
def test_zeros_are_mixed_like_any_other_numbers(kernels: str, precision: Precision) -> None:
    pool = _pool(kernels, precision)
    head = _head(37, 48, rows=3)
    for name in ("keys", "queries"):
        flat = Head(**{**vars(head), name: np.zeros_like(getattr(head, name))})
        mean = head.values.mean(axis=0, dtype=np.float64)
        assert _error(_attend(pool, precision, flat), np.tile(mean, (3, 1)), head) < 0.01
    none = Head(head.keys, np.zeros_like(head.values), head.queries)
    np.testing.assert_array_equal(_attend(pool, precision, none), 0)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernels", variants())
def test_a_single_position_gives_its_value(kernels: str, precision: Precision) -> None:
    head = _head(1, 64, rows=2)
    expected = np.tile(head.values.astype(np.float64), (2, 1))
    step = {Precision.FLOAT32: 1e-6, Precision.BFLOAT16: 1 / 256}.get(precision, 0.51 / 127)
    assert _error(_attend(_pool(kernels, precision), precision, head), expected, head) < step


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernels", variants())
def test_a_row_depends_on_what_it_sees_alone(kernels: str, precision: Precision) -> None:
    """Rows together, alone, and with positions behind them that hold anything: the same bits."""
    pool = _pool(kernels, precision)
    for dim, first, rows in ((64, 1, 50), (20, 40, 13), (48, 31, 3)):
        head = _head(first + rows - 1, dim, rows, spread=2.0)
        behind = Head(
            np.vstack([head.keys, np.full((40, dim), 1e6, np.float32)]),
            np.vstack([head.values, np.full((40, dim), -1e9, np.float32)]),
            head.queries,
        )
        together = _attend(pool, precision, head, first, 1)
        np.testing.assert_array_equal(_attend(pool, precision, behind, first, 1), together)
        for row in {0, 1, rows // 2, rows - 1}:
            seen = first + row
            one = Head(head.keys[:seen], head.values[:seen], head.queries[row : row + 1])
            np.testing.assert_array_equal(_attend(pool, precision, one)[0], together[row])


def test_rows_that_see_too_much_are_refused() -> None:
    with pytest.raises(InputError, match="more positions"):
        _attend(Pool(1), Precision.INT8, _head(4, 8, rows=3), visible=3, visible_step=1)
