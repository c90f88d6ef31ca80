"""How often rounded weights draw what exact ones draw, under teacher forcing.

    python -m benchmarks.agreement                                   # embedded, and random small and large
    python -m benchmarks.agreement --models embedded --dtypes int8 --seeds 8

The exact side is `openbark.backends.plain`, one layer in memory at a time; sequences are pseudo-random tokens that
the rules allow. "same choice": positions at which the most likely token is the same. "overlap": mean probability
that one number draws the same token from both at temperature 0.7. Random weights have flat distributions: their
most likely tokens are near ties, which overlap forgives and same choice does not. `docs/native.md` has the word
error rates of the embedded model; this says nothing about sound.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

from openbark.backends.agreement import agreement
from openbark.backends.native.auto import EngineRows
from openbark.backends.native.backend import NativeBackend
from openbark.backends.plain import PlainNetworks
from openbark.bench.workload import Workload, load_model

__all__ = ["main", "measure"]

STAGES = ("semantic", "coarse", "fine")


def measure(
    model: str, dtypes: Sequence[str], n_seeds: int
) -> dict[str, dict[str, dict[str, float]]]:
    """dtype -> stage -> same_choice, overlap: means over seeds."""
    checkpoint = load_model(Workload(model))
    plain = PlainNetworks(checkpoint)
    found = {}
    for dtype in dtypes:
        rows = EngineRows(NativeBackend.load(checkpoint, dtype))
        runs = [agreement(plain, rows, checkpoint.config, seed) for seed in range(n_seeds)]
        found[dtype] = {
            stage: {
                "same_choice": statistics.mean(run[stage].same_choice for run in runs),
                "overlap": statistics.mean(run[stage].overlap for run in runs),
            }
            for stage in STAGES
        }
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.agreement", description=__doc__)
    parser.add_argument("--models", default="embedded,shape:small,shape:large")
    parser.add_argument("--dtypes", default="bfloat16,int8,int4")
    parser.add_argument("--seeds", type=int, default=1, help="sequences per model (1)")
    options = parser.parse_args(arguments)
    document: dict[str, object] = {"benchmark": "agreement", "seeds": options.seeds}
    print(f"{'model':<14}{'dtype':<10}" + "".join(f"{stage:>20}" for stage in STAGES))
    for model in options.models.split(","):
        found = measure(model, options.dtypes.split(","), options.seeds)
        document[model] = found
        for dtype, stages in found.items():
            cells = [f"{stages[s]['same_choice']:.3f} / {stages[s]['overlap']:.4f}" for s in STAGES]
            print(f"{model:<14}{dtype:<10}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
