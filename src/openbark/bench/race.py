"""Contestants one after another on the same cores, round by round in alternating order, each in its own process.

Only one of them works at a time; the others wait for their turn without using a core. Knows nothing of how a
contestant works.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from openbark import __version__, errors
from openbark.bench.child import MACHINE, OWN, PEERS
from openbark.bench.costs import BITS, Cost, Widths, clip_costs
from openbark.bench.workload import Workload, history_of, model_config
from openbark.config import BarkConfig
from openbark.errors import OpenBarkError, ParamError
from openbark.stages.coarse import with_coarse_window

STAGES = ("semantic", "coarse", "fine", "codec")
_CHILD = "import sys; from openbark.bench.child import main; sys.exit(main(sys.argv[1:]))"
_EXACT = "float32"
_PEERS_WINDOW = "stock"


@dataclass(frozen=True, slots=True)
class Race:
    """Who runs, on what, how often. dtypes: precisions of OpenBark, each a contestant of its own; ":wide" or
    ":stock" behind one gives it other windows than the workload's. peer_repeat: rounds of the peers, and of
    float32, which takes as long."""

    workload: Workload
    dtypes: tuple[str, ...] = ("int8",)
    against: tuple[str, ...] = ()
    repeat: int = 3
    peer_repeat: int = 3

    @property
    def own(self) -> list[tuple[str, str]]:
        """(dtype, window) of OpenBark's contestants."""
        parts = (text.partition(":") for text in self.dtypes)
        return [(dtype, window or self.workload.window) for dtype, _, window in parts]

    def rounds(self, dtype: str) -> int:
        """How often a contestant runs."""
        return self.peer_repeat if dtype == _EXACT else self.repeat

    def check(self) -> None:
        """Raise ParamError for what cannot be run."""
        for name, given, allowed in (
            ("--against", self.against, PEERS),
            ("--dtype", [dtype for dtype, _ in self.own], tuple(BITS)),
            ("--window", [window for _, window in self.own], ("stock", "wide")),
        ):
            unknown = [value for value in given if value not in allowed]
            if unknown:
                raise ParamError(f"{name}: {', '.join(unknown)}; allowed: {', '.join(allowed)}")
        for name, count in (("--repeat", self.repeat), ("--peer-repeat", self.peer_repeat)):
            if count < 1:
                raise ParamError(f"{name} is {count}; allowed: 1 or more")
        self.workload.n_semantic(model_config(self.workload.model))


class _Runner:
    """The other end of a child process."""

    def __init__(self, name: str, workload: Workload, dtype: str, stack: ExitStack) -> None:
        self.name, self.dtype, self.window = name, dtype, workload.window
        spec = {"name": name, "workload": asdict(workload), "dtype": dtype}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise OpenBarkError(f"the contestant {name!r} has no pipes")
        self._commands, self._answers = self._process.stdin, self._process.stdout
        stack.callback(self._end)
        self.rounds: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self.description = str(self._answer()["description"])

    @property
    def label(self) -> str:
        """Name and, for OpenBark, precision and windows other than the checkpoint's."""
        if self.name != OWN:
            return self.name
        return f"{self.name} {self.dtype}" + (" wide" if self.window == "wide" else "")

    def ask(self, line: str) -> dict[str, Any]:
        """One command, one answer."""
        self._commands.write(line + "\n")
        self._commands.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            code = self._process.wait()
            raise OpenBarkError(
                f"the contestant {self.name!r} ended without an answer (exit code {code}); its last words "
                "are above"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"], OpenBarkError)
            raise kind(f"{self.name}: {answer['message']}")
        return answer

    def _end(self) -> None:
        self._commands.close()
        self._answers.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_race(race: Race, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it; the report as plain values. `say` is told what happens, as it takes minutes.

    Raises ParamError, MissingExtraError for a peer that is not installed, CheckpointError.
    """
    race.check()
    with ExitStack() as stack:
        machine = _Runner(MACHINE, race.workload, "", stack)
        runners = []
        for dtype, window in race.own:
            say(f"loading {OWN} {dtype}")
            runners.append(_Runner(OWN, replace(race.workload, window=window), dtype, stack))
        for name in race.against:
            say(f"loading {name}")
            peers = replace(race.workload, window=_PEERS_WINDOW)
            runners.append(_Runner(name, peers, _EXACT, stack))
        probes = _run_rounds(race, runners, machine, say)
    return _report(race, runners, probes)


def _run_rounds(
    race: Race, runners: Sequence[_Runner], machine: _Runner, say: Callable[[str], None]
) -> list[dict[str, float]]:
    probes: list[dict[str, float]] = []
    gemm = next((dtype for dtype, _ in race.own if dtype != "int4"), "int8")
    for number in range(max(race.repeat, race.peer_repeat)):
        order = runners if number % 2 == 0 else list(reversed(runners))
        probes.append(machine.ask(f"probe {gemm}"))
        for runner in order:
            if number >= race.rounds(runner.dtype):
                continue
            made = runner.ask(f"clip {number}")
            runner.rounds.append(made)
            say(f"round {number + 1}, {runner.label}: {sum(made['timings'].values()):.2f} s")
    # Last, as the probes beside them take memory that is not the contestant's.
    for runner in runners:
        if runner.name == OWN:
            rounds = range(race.rounds(runner.dtype))
            runner.steps += [runner.ask("steps")["steps"] for _ in rounds]
    return probes


def _report(
    race: Race, runners: Sequence[_Runner], probes: Sequence[dict[str, float]]
) -> dict[str, Any]:
    config = model_config(race.workload.model)
    seconds = {round_["n_frames"] for runner in runners for round_ in runner.rounds}
    if len(seconds) != 1:
        raise OpenBarkError(
            f"contestants made clips of different lengths: {sorted(seconds)} frames"
        )
    audio = seconds.pop() / config.coarse_rules.rate_hz
    rows = {runner.label: _row(race, runner, config, audio) for runner in runners}
    return {
        "benchmark": "bench say",
        "openbark": __version__,
        "workload": asdict(race.workload),
        "model": config.name,
        "audio_seconds": audio,
        "machine": {
            name: statistics.median(probe[name] for probe in probes)
            for name in ("read", "products")
        },
        "contestants": rows,
        "faster": _ratios(rows),
    }


def _row(race: Race, runner: _Runner, config: BarkConfig, audio: float) -> dict[str, Any]:
    workload = race.workload
    costs = _costs(workload, config, runner.window, runner.dtype)
    medians = {
        stage: statistics.median(made["timings"][stage] for made in runner.rounds)
        for stage in STAGES
    }
    total = statistics.median(sum(made["timings"].values()) for made in runner.rounds)
    return {
        "description": runner.description,
        "window": runner.window,
        "rounds": len(runner.rounds),
        "seconds": total,
        "real_time_factor": total / audio,
        "peak_megabytes": max(made["peak_megabytes"] for made in runner.rounds),
        "stages": {stage: _stage(medians[stage], audio, costs.get(stage)) for stage in STAGES},
        "steps": _median_steps(runner.steps),
    }


def _costs(workload: Workload, config: BarkConfig, window: str, dtype: str) -> dict[str, Cost]:
    return clip_costs(
        with_coarse_window(config, window),
        workload.n_semantic(config),
        history_of(workload, config),
        Widths.of(dtype),
    )


def _stage(seconds: float, audio: float, cost: Cost | None) -> dict[str, Any]:
    row: dict[str, Any] = {"seconds": seconds, "real_time_factor": seconds / audio}
    if cost is not None:
        row |= {
            "steps": cost.steps,
            "ms_per_step": seconds / cost.steps * 1e3,
            "gb_s": cost.decode_bytes / seconds / 1e9,
            "gop_s": cost.operations / seconds / 1e9,
        }
    return row


def _median_steps(steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not steps:
        return {}
    return {
        name: {
            key: value if key == "unit" else statistics.median(one[name][key] for one in steps)
            for key, value in first.items()
        }
        for name, first in steps[0].items()
    }


def _ratios(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times faster OpenBark is than each peer."""
    peers = {label: row for label, row in rows.items() if not label.startswith(OWN)}
    return {
        label: {peer: other["seconds"] / row["seconds"] for peer, other in peers.items()}
        for label, row in rows.items()
        if label.startswith(OWN)
    }
