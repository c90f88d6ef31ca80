"""Time to the first audio: cold processes, a warm engine, and loading with and without packed weights.

    python -m benchmarks.start                       # the embedded model
    python -m benchmarks.start --packed DIR          # loading a large checkpoint too, and where packed weights lie

Cold: a new process of `openbark "Hello."` until it has ended, interpreter and imports included. Warm: a sentence of
five words in a loaded engine, whole clip. Packed: the first load (which packs and writes), loads after it, and a
decode step whose weights are in anonymous memory (huge pages) against the same weights mapped from a file.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from openbark.api import Bark
from openbark.backends.native.capi import ModelHandle
from openbark.backends.native.library import Pool
from openbark.backends.native.sessions import CausalStage, NativeSession
from openbark.backends.native.structs import DrawRules, Precision, Sampling
from openbark.backends.native.weights import Transformer, causal_shape, coarse_head_starts
from openbark.checkpoints import open_checkpoint
from openbark.stages.semantic import Prompt

__all__ = ["cold", "main", "packed", "warm"]

SENTENCE = "The train leaves at seven."
CACHED, STEPS = 700, 48


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cold(runs: int) -> float:
    """Median seconds of a process that says "Hello."."""
    with tempfile.TemporaryDirectory() as folder:

        def say(number: int) -> None:
            output = f"{folder}/{number}.wav"
            command = [sys.executable, "-m", "openbark", "Hello.", "--seed", "1", "-o", output]
            subprocess.run(command, check=True, capture_output=True)

        say(0)
        return statistics.median(_seconds(partial(say, n)) for n in range(1, runs + 1))


def warm(runs: int) -> dict[str, float]:
    """Median seconds of a five-word clip, and of audio in it."""
    bark = Bark.load()
    voice = next(iter(bark.voices))
    bark.generate(SENTENCE, voice, seed=0)
    clips = [bark.generate(SENTENCE, voice, seed=seed) for seed in range(1, runs + 1)]
    return {
        "clip_seconds": statistics.median(clip.wall_seconds for clip in clips),
        "audio_seconds": statistics.median(clip.seconds for clip in clips),
    }


_LOAD = """
import sys, time
from openbark.backends.native.backend import NativeBackend
from openbark.checkpoints import open_checkpoint
checkpoint = open_checkpoint(sys.argv[1], need_tokenizer=False)
start = time.perf_counter()
NativeBackend.load(checkpoint, sys.argv[2])
print(time.perf_counter() - start)
"""


def _load(folder: str, dtype: str, cache: str | None) -> float:
    """Seconds of a load in a new process; without `cache`, nothing is kept on disk."""
    switch = {"OPENBARK_PACKED_CACHE": "0"} if cache is None else {"OPENBARK_CACHE": cache}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, folder, dtype],
        env=os.environ | switch,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


class _Mapped(Transformer):
    """The same weights, mapped from a file instead of copied into memory."""

    def __init__(self, model: Transformer, file: Path) -> None:
        super().__init__(model.pool, model.shape)
        model.packed.tofile(file)
        self._file = np.memmap(file, np.uint8, "r")
        handle = ModelHandle()
        start = ctypes.c_void_p(self._file.ctypes.data)
        arguments = (self.pool.handle, ctypes.byref(self.shape), start, ctypes.byref(handle))
        self.pool.call("ob_model_create", *arguments)
        self.handle = handle


def _step(model: Transformer, rules: DrawRules, cached: int) -> float:
    """Seconds of one decode step of the coarse stage."""
    session = NativeSession(CausalStage(model))
    session.read(Prompt(np.zeros(cached, dtype=np.int64)))
    session.draw(rules)
    return _seconds(lambda: session.draw(rules)) / rules.n_steps


def packed(
    folder: str, dtype: str, runs: int, cached: int = CACHED, steps: int = STEPS
) -> dict[str, Any]:
    """Loading times, and a step from either kind of memory."""
    with tempfile.TemporaryDirectory() as cache:
        times = {"without": _load(folder, dtype, None), "first": _load(folder, dtype, cache)}
        times["cached"] = statistics.median(_load(folder, dtype, cache) for _ in range(runs))
    checkpoint = open_checkpoint(folder, need_tokenizer=False)
    config = checkpoint.config
    shape = causal_shape(config.coarse, Precision[dtype.upper()], coarse_head_starts(config))
    tensors = checkpoint.part("coarse_acoustics.")
    model = Transformer(Pool(), shape)
    model.pack(tensors)
    with tempfile.TemporaryDirectory() as place:
        mapped = _Mapped(model, Path(place) / "weights")
        for one in (model, mapped):
            one.use_tables(tensors)
        rules = DrawRules(Sampling(0.7, 1.0, 2.0, 0), 0, 1, 0, steps)
        rules.first_token, rules.n_tokens = config.coarse_offset, config.codebook_size
        rules.n_codebooks, rules.end_token = 1, -1
        pairs = [
            (_step(model, rules, cached), _step(mapped, rules, cached)) for _ in range(2 * runs)
        ]
    return {
        "dtype": dtype,
        "load_seconds": times,
        "step_ms_in_memory": statistics.median(a for a, _ in pairs) * 1e3,
        "step_ms_mapped": statistics.median(b for _, b in pairs) * 1e3,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--packed", metavar="DIR", help="a large checkpoint folder")
    parser.add_argument("--dtype", default="int8", help="precision of --packed (int8)")
    options = parser.parse_args(arguments)
    document: dict[str, Any] = {
        "benchmark": "start",
        "cold_seconds": cold(options.runs),
        "warm": warm(options.runs),
    }
    print(f'cold `openbark "Hello."`: {document["cold_seconds"]:.2f} s')
    print(f"warm, {SENTENCE!r}: {document['warm']['clip_seconds']:.3f} s whole clip")
    if options.packed:
        found = packed(options.packed, options.dtype, options.runs)
        document["packed"] = found
        print(", ".join(f"{k} load {v:.2f} s" for k, v in found["load_seconds"].items()))
        print(
            f"step: {found['step_ms_in_memory']:.2f} ms from memory, "
            f"{found['step_ms_mapped']:.2f} ms mapped"
        )
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
