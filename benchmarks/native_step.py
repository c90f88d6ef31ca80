"""The compiled engine's inner loops beside what this machine can do: a decode step, a prefill, a fine pass.

    python -m benchmarks.native_step                                    # bark-small's shape, every precision
    python -m benchmarks.native_step --shape large --precisions int8
    python -m benchmarks.native_step --rows 8 --cached 880              # a step of 8 rows that draw together
    python -m benchmarks.native_step --against old/libopenbark.so       # another build, interleaved

Random weights; no clip, no voice (`openbark bench say` times those). A step's bytes are the packed weights it
multiplies, the 1,024 head rows that can be drawn included, and the cached keys and values it looks at, as this
checkout stores them: each is read once. A prefill's and a fine pass's operations are those that its result needs, attention included.
Limits come from the probes of the library under test, run before and after every measurement: memory
bandwidth drifts within seconds on shared machines, so shares are of the two probes around each figure.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from openbark.backends.native.library import LIBRARY_VARIABLE, Pool
from openbark.backends.native.sessions import CausalStage, Draw, FineSession, NativeSession
from openbark.backends.native.structs import DTYPES, DrawRules, Precision, Sampling, Shape
from openbark.backends.native.weights import Tensors, Transformer, causal_shape, fine_shape
from openbark.bench.costs import Widths, decode_cost
from openbark.config import FineGPTConfig, GPTConfig
from openbark.stages.semantic import Prompt

CACHED = 700
STEPS = 24
PREFILL = 887
FRAMES = 1024
HEAD_ROWS = 1024
SHAPES = {"tiny": (2, 4, 256), "small": (12, 12, 768), "large": (24, 16, 1024)}
VOCABULARY = 12096
PROBE_BYTES = 1 << 30


@dataclass(frozen=True)
class Figure:
    """One measurement: the median over rounds, and the median of its shares of the probes around it."""

    what: str
    precision: str
    library: str
    ms: float
    rate: float
    unit: str
    share: float


@dataclass(frozen=True)
class Engine:
    """One build of the library with its models of one precision."""

    label: str
    precision: str
    pool: Pool
    rows: list[NativeSession]
    fine: FineSession

    @property
    def causal(self) -> NativeSession:
        """The row that draws alone."""
        return self.rows[0]


class Probes:
    """What the machine does at best, asked of one build of the library."""

    def __init__(self, pool: Pool) -> None:
        """The pool whose threads run the probes."""
        self._pool = pool

    def bandwidth(self) -> float:
        """GB/s of one plain read with all threads: the median of three passes."""
        seconds = np.zeros(3)
        self._pool.call("ob_probe_read", self._pool.handle, PROBE_BYTES, 3, seconds)
        return PROBE_BYTES / float(np.median(seconds)) / 1e9

    def gemm(self, precision: str) -> float:
        """GOP/s of products from cache with all threads: the best of five passes."""
        seconds, operations = np.zeros(5), ctypes.c_double()
        self._pool.call(
            "ob_probe_gemm",
            self._pool.handle,
            int(DTYPES[precision]),
            5,
            seconds,
            ctypes.byref(operations),
        )
        return float(operations.value) / min(seconds) / 1e9


def _tensors(names: dict[str, tuple[int, ...]]) -> Tensors:
    generator = np.random.default_rng(0)
    largest = max(int(np.prod(shape)) for shape in names.values())
    values = generator.standard_normal(largest, dtype=np.float32) * np.float32(0.02)
    return {name: values[: int(np.prod(shape))].reshape(shape) for name, shape in names.items()}


def _names(n_layer: int, width: int) -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {"layernorm_final.weight": (width,)}
    for layer in range(n_layer):
        prefix = f"layers.{layer}."
        names |= {
            prefix + "layernorm_1.weight": (width,),
            prefix + "layernorm_2.weight": (width,),
            prefix + "attn.att_proj.weight": (3 * width, width),
            prefix + "attn.out_proj.weight": (width, width),
            prefix + "mlp.in_proj.weight": (4 * width, width),
            prefix + "mlp.out_proj.weight": (width, 4 * width),
        }
    return names


def _transformer(pool: Pool, shape: Shape, names: dict[str, tuple[int, ...]]) -> Transformer:
    tensors = _tensors(names)
    model = Transformer(pool, shape)
    model.pack(tensors)
    model.use_tables(tensors)
    return model


def build(
    library: str, label: str, precision: str, shape: str, threads: int | None = None, rows: int = 1
) -> Engine:
    """Models of random weights in the library at `library` ("" for the installed one)."""
    os.environ[LIBRARY_VARIABLE] = library
    pool = Pool(threads)
    n_layer, n_head, width = SHAPES[shape]
    kind = Precision[precision.upper()]
    starts = (0, 10_000, 11_024)
    config = GPTConfig(1024, VOCABULARY, VOCABULARY, n_layer, n_head, width)
    names = _names(n_layer, width) | {
        "input_embeds_layer.weight": (VOCABULARY, width),
        "position_embeds_layer.weight": (1024, width),
        "lm_head.weight": (VOCABULARY, width),
    }
    causal = _transformer(pool, causal_shape(config, kind, starts), names)
    fine_config = FineGPTConfig(1024, 1056, 1056, n_layer, n_head, width)
    names = _names(n_layer, width) | {"position_embeds_layer.weight": (1024, width)}
    names |= {f"layers.{i}.layernorm_{n}.bias": (width,) for i in range(n_layer) for n in (1, 2)}
    names["layernorm_final.bias"] = (width,)
    names |= {f"input_embeds_layers.{k}.weight": (1056, width) for k in range(8)}
    fine = _transformer(pool, fine_shape(fine_config, kind), names)
    stage = CausalStage(causal)
    sessions = [NativeSession(stage) for _ in range(rows)]
    return Engine(label, precision, pool, sessions, FineSession(fine))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _ids(n: int) -> NDArray[np.int64]:
    return np.arange(n, dtype=np.int64) * 7 % VOCABULARY


def step_seconds(engine: Engine, cached: int = CACHED) -> float:
    """Seconds of one step of all rows, head and draw included, around `cached` positions."""
    rules = DrawRules(Sampling(0.7, 1.0, 2.0, 0), 1, 1, 0, 1, 10_000, HEAD_ROWS, 1, -1)
    draws: list[Draw] = [(row, rules, None) for row in engine.rows]
    for row in engine.rows:
        row.read(Prompt(_ids(max(cached - STEPS // 2, 1))))
    engine.causal.rows.draw(draws)
    rules.n_steps = STEPS
    return _seconds(lambda: engine.causal.rows.draw(draws)) / STEPS


def prefill_seconds(engine: Engine) -> float:
    """Seconds of a prompt of PREFILL positions, none of them cached."""
    engine.causal.read(Prompt(np.ones(1, dtype=np.int64)))
    return _seconds(lambda: engine.causal.read(Prompt(_ids(PREFILL))))


def fine_seconds(engine: Engine) -> float:
    """Seconds of one pass over a full window of which every frame is drawn."""
    codes = np.random.default_rng(0).integers(0, 1024, (8, FRAMES))
    sampling = Sampling(0.5, 1.0, 2.0, 0)
    return _seconds(lambda: engine.fine.draw(codes, 4, 0, sampling, (1, 2, 0), HEAD_ROWS))


def step_bytes(shape: str, precision: str, rows: int = 1, cached: int = CACHED) -> float:
    """Bytes one step reads: weights of the blocks and drawable head rows once, keys and values of every row."""
    n_layer, n_head, width = SHAPES[shape]
    config = GPTConfig(1024, VOCABULARY, VOCABULARY, n_layer, n_head, width)
    widths = Widths.of(precision)
    one = decode_cost(config, HEAD_ROWS, cached, widths).decode_bytes
    # A step sees the cached positions and its own: with -1 of them, none.
    weights = decode_cost(config, HEAD_ROWS, -1, widths).decode_bytes
    return weights + rows * (one - weights)


def prefill_operations(shape: str) -> float:
    """Multiplications and additions of a prompt: of the last layer, keys and values and one last row."""
    n_layer, _, width = SHAPES[shape]
    blocks = 24 * width * width * ((n_layer - 1) * PREFILL + 1) + 4 * width * width * PREFILL
    return blocks + 2.0 * width * PREFILL * PREFILL * (n_layer - 1)


def fine_operations(shape: str) -> float:
    """Multiplications and additions of a pass: every position sees every other."""
    n_layer, _, width = SHAPES[shape]
    blocks = 24 * width * width * n_layer * FRAMES + 2 * width * HEAD_ROWS * FRAMES
    return blocks + 4.0 * width * FRAMES * FRAMES * n_layer


def measure(
    engines: Sequence[Engine], probes: Probes, shape: str, rounds: int, cached: int = CACHED
) -> list[Figure]:
    """All figures of engines of one precision, taken in turn; of several rows only their step."""
    precision, n_rows = engines[0].precision, len(engines[0].rows)
    step = partial(step_seconds, cached=cached)
    kinds: tuple[tuple[str, Callable[[Engine], float], float, str], ...] = (
        ("step", step, step_bytes(shape, precision, n_rows, cached), "GB/s"),
        ("prefill", prefill_seconds, prefill_operations(shape), "GOP/s"),
        ("fine pass", fine_seconds, fine_operations(shape), "GOP/s"),
    )
    figures = []
    if n_rows > 1:
        kinds = kinds[:1]
    for what, call, amount, unit in kinds:
        times: dict[str, list[float]] = {engine.label: [] for engine in engines}
        shares: dict[str, list[float]] = {engine.label: [] for engine in engines}
        # Many rows multiply 4-bit weights as 8-bit ones.
        gemm = "int8" if precision == "int4" else precision
        probe = probes.bandwidth if what == "step" else partial(probes.gemm, gemm)
        for engine in engines:
            call(engine)
        before = probe()
        for _ in range(rounds):
            for engine in engines:
                seconds = call(engine)
                after = probe()
                times[engine.label].append(seconds)
                shares[engine.label].append(amount / seconds / 1e9 / ((before + after) / 2))
                before = after
        for engine in engines:
            ms = statistics.median(times[engine.label]) * 1e3
            share = statistics.median(shares[engine.label])
            figures.append(
                Figure(what, precision, engine.label, ms, amount / ms / 1e6, unit, share)
            )
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a card, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--precisions", default=",".join(DTYPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1, help="rows that draw together")
    parser.add_argument("--cached", type=int, default=CACHED, help="positions that a step sees")
    parser.add_argument("--against", default="", help="another build of the library")
    parser.add_argument("--threads", type=int, help="default: the cores of this process")
    options = parser.parse_args(arguments)
    most = 1024 - STEPS
    if options.rows < 1 or not 1 <= options.cached <= most:
        parser.error(f"--rows: from 1; --cached: from 1 to {most}")
    own = os.environ.get(LIBRARY_VARIABLE, "")
    figures: list[Figure] = []
    builds = [(own, "this")] + ([(options.against, "other")] if options.against else [])
    for precision in options.precisions.split(","):
        engines = [
            build(path, label, precision, options.shape, options.threads, options.rows)
            for path, label in builds
        ]
        probes = Probes(engines[0].pool)
        figures += measure(engines, probes, options.shape, options.rounds, options.cached)
    for figure in figures:
        print(
            f"{figure.what:10} {figure.precision:9} {figure.library:6} {figure.ms:8.2f} ms "
            f"{figure.rate:7.1f} {figure.unit:6} {figure.share:6.1%} of the probe"
        )
    pool = engines[0].pool
    print(
        json.dumps(
            {
                "shape": options.shape,
                "kernels": pool.kernels,
                "threads": pool.threads,
                "rows": options.rows,
                "cached": options.cached,
                "figures": [asdict(figure) for figure in figures],
            }
        )
    )


if __name__ == "__main__":
    main()
