"""How much batching can gain on some clips: their work by kind when they run one by one, and a step of many rows.

Prompts, fine windows and the codec are products of hundreds of rows: they keep every core busy for one clip, and those
of eight are eight times the work. Draws are what a batch shares: a step of n rows costs less than n steps of one. So

* draws free: the time of the clips one by one over that of their prompts, windows and codec alone. Nothing that is
  done with draws takes a batch beyond it.
* in turn: the same with draws at the price of a step of all rows, as if all rows drew in every step and one thing was
  done at a time. Clips of different lengths fall behind it, as steps have fewer rows towards the end; windows beside
  draws can take a batch beyond it, as one computes while the other waits for memory.

The bandwidth of a shared machine drifts within seconds, so steps of all rows are measured between the clips.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from openbark.backends.base import Backend, BatchingBackend, DrawRun
from openbark.engine.request import CascadeResult, Request
from openbark.engine.runner import Runner, Sequence
from openbark.engine.stages import request_steps
from openbark.engine.work import CodecDecode, Decode, Prefill, Work
from openbark.stages.sampling import Noise, Stage

_STEPS = 8
"""Draws of all rows between two clips: a turn of the engine."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Times as fast as one by one: with `draws_free`, and with the measured steps `in_turn` (see above).

    seconds: one by one, by kind of work. solo_step_ms: a draw of one row, as it was in the clips, by stage; step_ms: a
    step of all rows.
    """

    draws_free: float
    in_turn: float
    seconds: dict[str, float]
    solo_step_ms: dict[str, float]
    step_ms: dict[str, float]


class SoloWork:
    """What clips cost one by one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(("prompts", "draws", "fine", "codec"), 0.0)
        self.draw_seconds: dict[Stage, float] = {}
        self.n_steps: Counter[Stage] = Counter()
        self.openings: dict[Stage, Prefill] = {}

    def run(self, backend: Backend, request: Request) -> CascadeResult:
        """`engine.cascade.run`, with its times put down. `openings` are then the prompts in its middle, by stage."""
        runner, sequence = (
            Runner(backend),
            Sequence(request, request_steps(request, backend.config)),
        )
        reads: dict[Stage, list[Prefill]] = {}
        while sequence.work is not None:
            work = sequence.work
            started = time.perf_counter()
            result = runner.run(sequence, work.n_steps if isinstance(work, Decode) else 1)
            spent = time.perf_counter() - started
            self.seconds[_kind(work)] += spent
            match work:
                case Prefill(stage=stage):
                    reads.setdefault(stage, []).append(work)
                case Decode(stage=stage):
                    self.n_steps[stage] += len(result[0])
                    self.draw_seconds[stage] = self.draw_seconds.get(stage, 0.0) + spent
            sequence.advance(result)
        self.openings = {stage: found[len(found) // 2] for stage, found in reads.items()}
        clip: CascadeResult = sequence.result
        return clip


@dataclass(eq=False)
class StepMeter:
    """Steps of `n_rows` rows behind the prompts of one clip, a few at a time."""

    backend: BatchingBackend
    n_rows: int
    rows: dict[Stage, list[DrawRun]] = field(default_factory=dict)
    spent: dict[Stage, list[float]] = field(default_factory=dict)

    def open(self, request: Request, work: SoloWork) -> None:
        """Read the prompts: `work.openings`, which are those of `request`."""
        for stage, opening in work.openings.items():
            sampling = getattr(request.params, stage.name.lower())
            self.rows[stage] = []
            for number in range(self.n_rows):
                session = self.backend.session(stage)
                session.read(opening.prompt)
                run = DrawRun(session, sampling, Noise(number), 0, _STEPS, False)
                self.rows[stage].append(run)

    def measure(self) -> None:
        """Take the time of some steps of each stage, as long as there is room behind the prompts."""
        for stage, rows in self.rows.items():
            known, room = self.spent.setdefault(stage, []), _room(self.backend, stage)
            n_steps = min(_STEPS, room)
            first = len(known) * n_steps
            if first + n_steps > room:
                continue
            started = time.perf_counter()
            self.backend.draw_batch(
                [replace(run, first_step=first, n_steps=n_steps) for run in rows]
            )
            known.append((time.perf_counter() - started) / n_steps)


def ceiling_of(work: SoloWork, meter: StepMeter) -> Ceiling:
    """What the clips could gain from one another."""
    steps = {stage: statistics.median(spent) for stage, spent in meter.spent.items()}
    shared = sum(seconds * work.n_steps[stage] / meter.n_rows for stage, seconds in steps.items())
    total = sum(work.seconds.values())
    rest = total - work.seconds["draws"]
    return Ceiling(
        draws_free=total / rest,
        in_turn=total / (rest + shared),
        seconds=dict(work.seconds),
        solo_step_ms={
            stage.name.lower(): seconds / work.n_steps[stage] * 1e3
            for stage, seconds in work.draw_seconds.items()
        },
        step_ms={stage.name.lower(): seconds * 1e3 for stage, seconds in steps.items()},
    )


def _room(backend: Backend, stage: Stage) -> int:
    """Draws that surely fit behind any prompt."""
    if stage is Stage.SEMANTIC:
        return backend.config.semantic_rules.max_new_tokens
    return backend.config.coarse_rules.sliding_window


def _kind(work: Work) -> str:
    match work:
        case Prefill():
            return "prompts"
        case Decode():
            return "draws"
        case CodecDecode():
            return "codec"
    return "fine"
