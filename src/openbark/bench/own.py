"""OpenBark's own contestant: the compiled engine, and single steps of it beside probes of the machine."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable

import numpy as np

from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool
from openbark.backends.native.structs import DTYPES
from openbark.bench.contestant import Round, Step
from openbark.bench.costs import Widths, decode_cost, prefill_operations
from openbark.bench.workload import Workload, history_of, load_model, text_ids
from openbark.engine.cascade import run
from openbark.engine.request import Request
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt

_PROBE_BYTES = 1 << 30
_READ_PASSES, _GEMM_PASSES = 3, 5
_CACHED, _WARM, _STEPS = 700, 2, 24
_PREFILL = 887


class Probes:
    """What this machine does at best right now, with the engine's own threads."""

    def __init__(self, threads: int | None) -> None:
        self._pool = Pool(threads)

    def read_rate(self) -> float:
        """Bytes per second of one plain read of 1 GB by all threads."""
        seconds = np.zeros(_READ_PASSES)
        self._pool.call(
            "ob_probe_read",
            self._pool.handle,
            _PROBE_BYTES,
            _READ_PASSES,
            seconds,
        )
        return float(_PROBE_BYTES / np.median(seconds))

    def product_rate(self, dtype: str) -> float:
        """Operations per second of matrix products from the caches, all threads."""
        seconds, operations = np.zeros(_GEMM_PASSES), ctypes.c_double()
        self._pool.call(
            "ob_probe_gemm",
            self._pool.handle,
            int(DTYPES[dtype]),
            _GEMM_PASSES,
            seconds,
            ctypes.byref(operations),
        )
        return float(operations.value / min(seconds))


class OpenBark:
    """The compiled engine."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Load. Raises CheckpointError, ParamError, MissingExtraError."""
        checkpoint = load_model(workload, workload.window)
        self._backend = NativeBackend.load(checkpoint, dtype, workload.threads)
        self.dtype = dtype
        self.description = self._backend.description
        self._history = history_of(workload, checkpoint.config)
        self._n_semantic = workload.n_semantic(checkpoint.config)

    def run(self, seed: int) -> Round:
        """One clip through the engine, from text tokens to samples."""
        params = GenerationParams(
            max_semantic_tokens=self._n_semantic, allow_early_stop=False
        ).resolve(SUNO_PARAMS)
        ids = text_ids(self._backend.config)
        result = run(self._backend, Request(ids, params, seed, self._history))
        return Round(dict(result.timings), len(result.semantic), result.fine.shape[1])

    def steps(self, probes: Probes) -> dict[str, Step]:
        """A decode step of the coarse stage at 700 cached tokens and a prompt of 887, where its context holds
        as many; each between two probes, as bandwidth drifts within seconds."""
        config = self._backend.config.coarse
        cached = min(_CACHED, config.block_size - _WARM - _STEPS)
        length = min(_PREFILL, config.block_size)
        cost = decode_cost(
            config,
            self._backend.config.codebook_size,
            cached + _WARM + _STEPS // 2,
            Widths.of(self.dtype),
        )
        gemm_dtype = "int8" if self.dtype == "int4" else self.dtype
        return {
            "decode": _measured(
                lambda: self._decode(cached),
                cost.decode_bytes,
                probes.read_rate,
                "GB/s",
            ),
            "prefill": _measured(
                lambda: self._prefill(length),
                prefill_operations(config, length),
                lambda: probes.product_rate(gemm_dtype),
                "GOP/s",
            ),
        }

    def _decode(self, cached: int) -> float:
        """Seconds of one step."""
        session = self._backend.session(Stage.COARSE)
        session.read(Prompt(np.zeros(cached, dtype=np.int64)))
        rules = SamplingParams()
        session.draw_run(rules, Noise(0), 0, _WARM)
        start = time.perf_counter()
        session.draw_run(rules, Noise(0), _WARM, _STEPS)
        return (time.perf_counter() - start) / _STEPS

    def _prefill(self, length: int) -> float:
        """Seconds of one prompt, from an empty cache."""
        session = self._backend.session(Stage.COARSE)
        prompt = Prompt(np.arange(length, dtype=np.int64) % self._backend.config.codebook_size)
        session.read(Prompt(np.full(4, 1, dtype=np.int64)))
        start = time.perf_counter()
        session.read(prompt)
        return time.perf_counter() - start


def _measured(
    work: Callable[[], float], amount: float, limit: Callable[[], float], unit: str
) -> Step:
    work()
    before = limit()
    seconds = statistics.median(work() for _ in range(3))
    around = (before + limit()) / 2
    return Step(seconds * 1e3, amount / seconds / 1e9, around / 1e9, unit)
