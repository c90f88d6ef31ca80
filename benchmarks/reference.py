"""Real-time factor of every stage on either backend, and how far a decode step is from the machine's limit.

    python -m benchmarks.reference                          # the embedded model
    python -m benchmarks.reference --model DIR
    python -m benchmarks.reference --shape small            # Bark's published sizes, random weights

Every run generates the same number of semantic tokens, so that runs compare; figures are medians over runs.
A decode step at batch one reads every weight of its transformer once. Its rate in GB/s stands beside a probe
that reads a buffer as large as those weights: small models live in the caches, and the probe knows that.
Says nothing about quality (`benchmarks.quality`), and nothing about other engines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import openbark
from openbark.backends.base import Backend
from openbark.backends.select import BACKENDS, load_backend
from openbark.bench.workload import model_config
from openbark.checkpoints import checkpoint_of_random_weights, open_checkpoint
from openbark.checkpoints.find import find_checkpoint
from openbark.config import BarkConfig, GPTConfig
from openbark.engine.cascade import run
from openbark.engine.request import STAGES, CascadeResult, Request
from openbark.params import SUNO_PARAMS, GenerationParams
from openbark.stages.coarse import coarse_context, coarse_window_prompt
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt, semantic_prompt

TEXT_TOKENS = 20
STEPS_TIMED = 48
PROBE_REPEATS = 20
PROBE_LEAST_BYTES = 1 << 20
ITEM_BYTES = {"float32": 4.0, "float64": 8.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5}


@dataclass(frozen=True)
class StepCost:
    """One decode step of a causal stage. `limit_gb_s` is the probe's rate; `share` is achieved over limit."""

    ms_per_step: float
    prefill_ms: float
    weight_bytes: int
    gb_s: float
    limit_gb_s: float
    share: float


def load_model(options: argparse.Namespace) -> tuple[str, Backend]:
    """The model asked for, and its name in the report."""
    if options.shape is not None:
        source = checkpoint_of_random_weights(model_config(f"shape:{options.shape}"))
        name = f"{options.shape} (random weights)"
    else:
        source = open_checkpoint(find_checkpoint(options.model), need_tokenizer=False)
        name = source.config.name
    return name, load_backend(
        source, options.backend, options.device, options.dtype, options.threads
    )


def weights_per_step(config: GPTConfig) -> int:
    """Weights that one decode step reads: every layer and the output head; of the embeddings, two rows."""
    per_layer = 12 * config.n_embd**2 + 2 * config.n_embd
    return config.n_layer * per_layer + config.n_embd * (config.output_vocab_size + 3)


def read_rate(n_bytes: int) -> float:
    """Bytes per second at which this process, with torch's threads, reads a buffer again and again."""
    buffer = torch.ones(max(n_bytes, PROBE_LEAST_BYTES) // 4)
    buffer.sum()
    seconds = []
    for _ in range(PROBE_REPEATS):
        start = time.perf_counter()
        buffer.sum()
        seconds.append(time.perf_counter() - start)
    return buffer.numel() * 4 / min(seconds)


def first_prompt(stage: Stage, config: BarkConfig) -> Prompt:
    """A prompt of the stage's full length, as a request without voice has it."""
    if stage is Stage.SEMANTIC:
        return semantic_prompt(text_tokens(config), None, config.semantic_rules)
    semantic = np.zeros(config.coarse_rules.max_semantic_input, dtype=np.int64)
    context = coarse_context(semantic, None, None, config)
    return coarse_window_prompt(context, np.empty(0, dtype=np.int64), config)


def text_tokens(config: BarkConfig) -> NDArray[np.int64]:
    """Token ids that any tokenizer has; what they spell does not matter here."""
    return np.arange(min(TEXT_TOKENS, config.semantic_rules.max_text_tokens), dtype=np.int64) % 2


def step_cost(backend: Backend, stage: Stage, gpt: GPTConfig, item_bytes: float) -> StepCost:
    """Time single decode steps after a real prompt, apart from sampling."""
    config = backend.config
    session = backend.session(stage)
    prompt = first_prompt(stage, config)
    token = 0 if stage is Stage.SEMANTIC else config.coarse_offset
    start = time.perf_counter()
    session.prefill(prompt)
    prefill = time.perf_counter() - start
    seconds = []
    for _ in range(min(STEPS_TIMED, gpt.block_size - len(prompt.ids))):
        start = time.perf_counter()
        session.step(token)
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds)
    n_bytes = round(weights_per_step(gpt) * item_bytes)
    limit = read_rate(n_bytes)
    return StepCost(
        ms_per_step=1e3 * step,
        prefill_ms=1e3 * prefill,
        weight_bytes=n_bytes,
        gb_s=n_bytes / step / 1e9,
        limit_gb_s=limit / 1e9,
        share=n_bytes / step / limit,
    )


def request(config: BarkConfig, params: GenerationParams, seed: int) -> Request:
    """The same work for every seed: no early stop."""
    return Request(text_tokens=text_tokens(config), params=params, seed=seed)


def params_for(seconds: float, config: BarkConfig) -> GenerationParams:
    """Suno's sampling, exactly `seconds` of audio."""
    return replace(
        SUNO_PARAMS,
        max_semantic_tokens=max(1, round(seconds * config.semantic_rules.rate_hz)),
        allow_early_stop=False,
    )


def summarise(results: Sequence[CascadeResult], config: BarkConfig) -> dict[str, object]:
    """Medians over runs, per stage and in all."""
    audio = len(results[0].waveform) / config.sample_rate
    wall = {name: statistics.median(r.timings[name] for r in results) for name in STAGES}
    total = statistics.median(sum(r.timings.values()) for r in results)
    tokens = {
        "semantic": len(results[0].semantic),
        "coarse": results[0].coarse.size,
        "fine": results[0].fine[config.coarse_rules.n_codebooks :].size,
        "codec": results[0].fine.size,
    }
    stages = {
        name: {
            "wall_s": wall[name],
            "rtf": wall[name] / audio,
            "tokens": tokens[name],
            "tokens_per_s": tokens[name] / wall[name],
        }
        for name in STAGES
    }
    return {"audio_s": audio, "wall_s": total, "rtf": total / audio, "stages": stages}


def print_card(report: Mapping[str, object], costs: Mapping[str, StepCost]) -> None:
    """The table for people."""
    stages = report["stages"]
    assert isinstance(stages, dict)
    print(
        f"{report['model']}: {report['audio_s']:.2f} s of audio, median of {report['runs']} runs\n"
        f"{report['backend']}; {report['machine']}\n\n"
        f"{'stage':10}{'wall s':>9}{'RTF':>9}{'tokens/s':>11}{'ms/step':>10}{'MB/step':>10}"
        f"{'GB/s':>8}{'of limit':>10}"
    )
    for name, figures in stages.items():
        line = (
            f"{name:10}{figures['wall_s']:9.3f}{figures['rtf']:9.4f}{figures['tokens_per_s']:11.0f}"
        )
        if name in costs:
            cost = costs[name]
            line += f"{cost.ms_per_step:10.3f}{cost.weight_bytes / 1e6:10.2f}{cost.gb_s:8.2f}{cost.share:10.0%}"
        print(line)
    print(f"{'total':10}{report['wall_s']:9.3f}{report['rtf']:9.4f}")
    print(f"peak memory {report['peak_memory_mb']:.0f} MB\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options, refused where they contradict each other."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reference", description=__doc__.splitlines()[0]
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--model", type=Path, help="checkpoint folder; default the embedded model")
    source.add_argument("--shape", choices=("tiny", "small", "large"), help="random weights")
    parser.add_argument("--seconds", type=float, default=5.0, help="audio per run (5)")
    parser.add_argument("--runs", type=int, default=3, help="runs after one to warm up (3)")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what computes (auto)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (all)")
    parser.add_argument("--device", default=None, help="device (cpu)")
    parser.add_argument("--dtype", choices=sorted(ITEM_BYTES), default="float32")
    options = parser.parse_args(arguments)
    if not options.seconds > 0 or options.runs < 1 or (options.threads or 1) < 1:
        parser.error("--seconds must be more than 0, --runs and --threads at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the card, then one JSON document; returns the exit code."""
    options = parse(arguments)
    name, backend = load_model(options)
    config = backend.config
    if options.seconds > config.max_seconds:
        print(
            f"--seconds {options.seconds:g} is more than one call of this model makes "
            f"({config.max_seconds:.2f} s)",
            file=sys.stderr,
        )
        return 2
    params = params_for(options.seconds, config)
    run(backend, request(config, params, seed=0))
    results = [run(backend, request(config, params, seed)) for seed in range(options.runs)]
    item_bytes = ITEM_BYTES[options.dtype]
    costs = {
        "semantic": step_cost(backend, Stage.SEMANTIC, config.semantic, item_bytes),
        "coarse": step_cost(backend, Stage.COARSE, config.coarse, item_bytes),
    }
    report = {
        "benchmark": "reference",
        "openbark": openbark.__version__,
        "model": name,
        "backend": backend.description,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "runs": options.runs,
        **summarise(results, config),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "decode_step": {stage: asdict(cost) for stage, cost in costs.items()},
    }
    print_card(report, costs)
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
