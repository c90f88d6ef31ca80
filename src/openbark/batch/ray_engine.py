"""Workers on a Ray cluster: one actor for each model, which writes its shards itself; the driver sees only reports.

Needs the extra [ray]. The output folder must be storage that every node has under the same name.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from openbark.batch.plan import Shard
from openbark.batch.shard import ShardReport, ShardSettings, SpeakerMaker, run_shard
from openbark.errors import DeviceError, OpenBarkError

_MAX_DEATHS = 5


class _ShardActor:
    """What Ray runs: a loaded model."""

    def __init__(self, settings: ShardSettings, maker: SpeakerMaker) -> None:
        self._settings = settings
        self._speaker = maker.open()

    def run(self, shard: Shard) -> ShardReport:
        return run_shard(shard, self._settings, self._speaker)


@dataclass(frozen=True)
class RayEngine:
    """As `run.Engine`. n_cpus, n_gpus: reserved for each worker. n_workers: None for as many as fit."""

    n_cpus: float = 1.0
    n_gpus: float = 0.0
    n_workers: int | None = None

    def __call__(
        self,
        shards: Sequence[Shard],
        settings: ShardSettings,
        maker: SpeakerMaker,
        n_workers: int,
    ) -> Iterator[ShardReport]:
        """Reports of the shards as they are committed. An actor that dies with its node is started elsewhere, and its
        shard given out again; leaving early ends the actors."""
        _connect()
        wanted = min(self.n_workers or self._room(), len(shards))
        actors = [self._actor(settings, maker) for _ in range(wanted)]
        waiting, deaths = deque(shards), Counter[int]()
        running: dict[Any, tuple[Any, Shard]] = {}
        try:
            for actor in actors:
                _give(actor, waiting, running)
            while running:
                (ready, *_), _rest = ray.wait(list(running), num_returns=1)
                actor, shard = running.pop(ready)
                try:
                    report: ShardReport = ray.get(ready)
                except RayTaskError as error:
                    raise _cause(error) from error
                except RayActorError as error:
                    deaths[shard.index] += 1
                    if deaths[shard.index] >= _MAX_DEATHS:
                        raise DeviceError(
                            f"{_MAX_DEATHS} workers died on lines {shard.number} to "
                            f"{shard.number + shard.n_lines - 1} of {shard.file}: {error}"
                        ) from error
                    waiting.appendleft(shard)
                    actors.remove(actor)
                    actor = self._actor(settings, maker)
                    actors.append(actor)
                else:
                    yield report
                _give(actor, waiting, running)
        finally:
            for actor in actors:
                ray.kill(actor)

    def _actor(self, settings: ShardSettings, maker: SpeakerMaker) -> Any:
        remote: Any = ray.remote(_ShardActor)
        options = remote.options(
            num_cpus=self.n_cpus, num_gpus=self.n_gpus, scheduling_strategy="SPREAD"
        )
        return options.remote(settings, maker)

    def _room(self) -> int:
        resources: Any = ray.cluster_resources  # Ray publishes no types for it.
        has = resources()
        counts = [
            int(has.get(kind, 0.0) // each)
            for kind, each in (("CPU", self.n_cpus), ("GPU", self.n_gpus))
            if each > 0
        ]
        if min(counts) < 1:
            raise DeviceError(
                f"the Ray cluster has no room for a worker of {self.n_cpus:g} CPUs and {self.n_gpus:g} GPUs; add a "
                "node, or leave --device cuda out"
            )
        return min(counts)


def _connect() -> None:
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        ray.init(address="local", include_dashboard=False, **quiet)


def _give(actor: Any, waiting: deque[Shard], running: dict[Any, tuple[Any, Shard]]) -> None:
    if waiting:
        shard = waiting.popleft()
        running[actor.run.remote(shard)] = actor, shard


def _cause(error: RayTaskError) -> Exception:
    cause = error.cause
    if isinstance(cause, (OpenBarkError, OSError)):
        return cause
    return DeviceError(f"a worker failed: {type(cause).__name__}: {cause}")
