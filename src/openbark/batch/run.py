"""One run of a batch from its files to its summary: plan or resume, give out what is missing, count, stop early."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from openbark import __version__
from openbark.batch.commit import clean, done_shards
from openbark.batch.jobs import find_inputs
from openbark.batch.layouts import check_layout
from openbark.batch.plan import Plan, Shard, check_same, make_plan, read_plan, write_plan
from openbark.batch.report import Tracker, count_quarantined, finish, metrics_server
from openbark.batch.shard import ShardReport, ShardSettings, SpeakerMaker
from openbark.errors import OpenBarkError, ParamError
from openbark.files import locked
from openbark.params import check_seed

_LOCK_FILE = ".lock"


class BatchStoppedError(OpenBarkError):
    """The batch ended before all lines were done; the same command with --resume continues it."""


class TooManyFailuresError(BatchStoppedError):
    """More lines failed than --max-failures allows."""


class Engine(Protocol):
    """Runs shards somewhere: `local.run_local`, or the one on Ray."""

    def __call__(
        self,
        shards: Sequence[Shard],
        settings: ShardSettings,
        maker: SpeakerMaker,
        n_workers: int,
    ) -> Iterator[ShardReport]:
        """Reports in the order in which shards are committed."""
        ...


@dataclass(frozen=True)
class BatchOptions:
    """layout, format, seed: of the output. shard_seconds, shard_lines: the most audio and lines of a shard.
    max_failures: such as "1%" or "20"; None never stops. price: of one worker and hour."""

    layout: str = "tar"
    format: str = "opus"
    seed: int = 0
    shard_seconds: float = 120.0
    shard_lines: int = 1024
    n_workers: int = 1
    max_failures: str | None = None
    resume: bool = False
    price: float | None = None
    metrics_port: int | None = None

    def __post_init__(self) -> None:
        check_layout(self.layout, self.format)
        check_seed(self.seed)
        if self.n_workers < 1 or self.shard_lines < 1 or not self.shard_seconds > 0:
            raise ParamError(
                f"workers is {self.n_workers}, shard lines {self.shard_lines}, shard seconds "
                f"{self.shard_seconds:g}; allowed: more than 0"
            )
        self.failures_allowed(1)

    def failures_allowed(self, n_lines: int) -> int | None:
        """How many of the lines may fail. Raises ParamError."""
        if self.max_failures is None:
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", self.max_failures)
        if match is None or (match[2] and float(match[1]) > 100):
            raise ParamError(
                f"max failures is {self.max_failures!r}; allowed: a number such as 20, or a share such as 1%"
            )
        return int(float(match[1]) / 100 * n_lines if match[2] else float(match[1]))


def run_batch(
    jobs: Sequence[str],
    output: Path,
    options: BatchOptions,
    maker: SpeakerMaker,
    model: Mapping[str, Any],
    engine: Engine,
    notify: Callable[[str], None],
) -> dict[str, Any]:
    """Speak every line of `jobs` into `output`; its summary.

    model: what decides the sound, by name. Raises ParamError for jobs or a folder that do not fit together,
    BatchStoppedError when it ends early, OSError when the output cannot be written.
    """
    inputs = find_inputs(jobs)
    output.mkdir(parents=True, exist_ok=True)
    with locked(output / _LOCK_FILE, wait=False):
        plan = _plan(inputs, output, options, model, notify)
        clean(output)
        done = done_shards(output)
        # Long shards first, so that none of them is alone at the end.
        missing = sorted(
            (shard for shard in plan.shards if shard.index not in done),
            key=lambda shard: -shard.seconds,
        )
        n_workers = min(options.n_workers, max(1, len(missing)))
        tracker = Tracker(output, plan, done, n_workers, options.price)
        tracker.progress.quarantined = count_quarantined(output, done)
        allowed = options.failures_allowed(plan.n_lines)
        settings = ShardSettings(str(output), options.layout, options.format, options.seed)
        with metrics_server(options.metrics_port, tracker.progress):
            try:
                _check_failures(tracker, allowed)
                if missing:
                    with closing(engine(missing, settings, maker, n_workers)) as reports:  # type: ignore[type-var]
                        for report in reports:
                            tracker.add(report)
                            _check_failures(tracker, allowed)
            finally:
                tracker.tell()
        return finish(output, plan)


def _plan(
    inputs: Sequence[Path],
    output: Path,
    options: BatchOptions,
    model: Mapping[str, Any],
    notify: Callable[[str], None],
) -> Plan:
    fingerprint = {
        **model,
        "code version": __version__,
        "seed": options.seed,
        "layout": options.layout,
        "format": options.format,
        "shard seconds": options.shard_seconds,
        "shard lines": options.shard_lines,
    }
    old = read_plan(output)
    if old is not None:
        if not options.resume:
            raise ParamError(
                f"{output} holds a batch already; continue it with --resume, or give another folder with -o"
            )
        check_same(output, old, fingerprint, inputs)
        return old
    others = [path.name for path in output.iterdir() if path.name != _LOCK_FILE]
    # A run that was killed while it planned leaves nothing but files under temporary names.
    others = [name for name in others if not name.startswith(".")]
    if others:
        raise ParamError(
            f"{output} is not empty ({sorted(others)[0]}); give an empty or a new folder with -o"
        )
    plan = make_plan(
        inputs,
        fingerprint,
        options.shard_seconds,
        options.shard_lines,
        lambda n_lines: notify(f"planning: {n_lines} lines"),
    )
    write_plan(output, plan)
    notify(
        f"{plan.n_lines} lines, about {plan.seconds:.0f} s of audio, in {len(plan.shards)} shards"
    )
    return plan


def _check_failures(tracker: Tracker, allowed: int | None) -> None:
    failed = tracker.progress.quarantined
    if allowed is not None and failed > allowed:
        raise TooManyFailuresError(
            f"{failed} lines failed, --max-failures allows {allowed}; see the quarantine-*.jsonl files"
        )
