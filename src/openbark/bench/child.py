"""A contestant in a process of its own, so that its memory is its own.

The argument, JSON, says what to load. Answers are lines of JSON on stdout: one when it is loaded, then one for each line on
stdin ("clip SEED", "steps", "probe DTYPE"), until stdin ends. An error is an answer too, and the last one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from openbark.bench.contestant import Contestant, peak_megabytes
from openbark.bench.workload import Workload
from openbark.errors import MissingExtraError, OpenBarkError, ParamError

OWN = "openbark"
PEERS = ("transformers", "torch")
MACHINE = "machine"
"""A contestant that only probes."""


def main(arguments: list[str]) -> int:
    """Serve until stdin ends; returns the exit code."""
    spec = json.loads(arguments[0])
    # What contestants print is for people; answers have a stream of their own.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(values: Mapping[str, Any]) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    try:
        _serve(spec, answer)
    except (OpenBarkError, MemoryError) as error:
        answer({"error": type(error).__name__, "message": str(error)})
        return 1
    return 0


def _serve(spec: dict[str, Any], answer: Any) -> None:
    workload = Workload(**spec["workload"])
    if spec["name"] == MACHINE:
        return _probe(workload, answer)
    contestant = _load(spec["name"], workload, spec["dtype"])
    answer({"description": contestant.description, "dtype": contestant.dtype})
    for line in sys.stdin:
        command, *values = line.split()
        if command == "clip":
            made = asdict(contestant.run(int(values[0])))
            answer({**made, "peak_megabytes": peak_megabytes()})
        elif command == "steps":
            answer(_steps(contestant, workload))


def _load(name: str, workload: Workload, dtype: str) -> Contestant:
    if name == OWN:
        from openbark.bench.own import OpenBark

        return OpenBark(workload, dtype)
    threads = workload.threads or _cores()
    try:
        if name == "transformers":
            from openbark.bench.peers.transformers_bark import TransformersBark

            return TransformersBark(workload, threads)
        if name == "torch":
            from openbark.bench.peers.suno_algorithm import SunoAlgorithm

            return SunoAlgorithm(workload, threads)
    except ImportError as error:
        raise MissingExtraError(
            f'the peer {name!r} is not installed ({error}); pip install "openbark[test]"'
        ) from error
    raise ParamError(f"contestant is {name!r}; allowed: {', '.join((OWN, *PEERS))}")


def _steps(contestant: Contestant, workload: Workload) -> dict[str, Any]:
    from openbark.bench.own import OpenBark, Probes

    if not isinstance(contestant, OpenBark):
        return {"steps": {}}
    steps = contestant.steps(Probes(workload.threads))
    return {"steps": {name: {**asdict(step), "share": step.share} for name, step in steps.items()}}


def _probe(workload: Workload, answer: Any) -> None:
    from openbark.bench.own import Probes

    probes = Probes(workload.threads)
    answer({"description": "probes of the machine", "dtype": ""})
    for line in sys.stdin:
        _, dtype = line.split()
        answer({"read": probes.read_rate() / 1e9, "products": probes.product_rate(dtype) / 1e9})


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
