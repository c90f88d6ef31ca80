"""The probes of the machine's limits: every pass is timed, and nonsense is refused."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from native_engine import needs_engine, variants

from openbark.backends.native.library import Pool
from openbark.backends.native.structs import Precision
from openbark.errors import InputError

pytestmark = needs_engine

PASSES = 3


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kernels", variants())
def test_every_pass_over_memory_is_timed(kernels: str, threads: int) -> None:
    pool = Pool(threads, kernels)
    seconds = np.zeros(PASSES)
    pool.call("ob_probe_read", pool.handle, 1 << 20, PASSES, seconds)
    assert all(0 < each < 60 for each in seconds)
    with pytest.raises(InputError, match="fewer bytes"):
        pool.call("ob_probe_read", pool.handle, 100, PASSES, seconds)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("kernels", variants())
def test_every_pass_of_products_is_timed_and_counted(kernels: str, precision: Precision) -> None:
    pool = Pool(2, kernels)
    if not pool.precisions >> precision & 1:
        pytest.skip(f"{kernels} has no {precision.name.lower()} arithmetic")
    seconds, operations = np.zeros(1), ctypes.c_double()
    pool.call("ob_probe_gemm", pool.handle, int(precision), 1, seconds, ctypes.byref(operations))
    assert 0 < seconds[0] < 60
    # Two threads, each multiplying at least one panel of 64 rows of weights by one row of 64.
    assert operations.value >= 2 * 2 * 64 * 64
