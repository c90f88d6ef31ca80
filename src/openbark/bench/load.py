"""One model under many requests, in this process: together against one by one, at a steady load, and overrun.

The load is open: requests arrive when they arrive, whether or not the engine keeps up. Knows no command line.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from openbark.backends.base import Backend, BatchingBackend
from openbark.bench.ceiling import SoloWork, StepMeter, ceiling_of
from openbark.bench.traffic import Traffic
from openbark.engine.batch import run_batch
from openbark.engine.engine import Engine
from openbark.engine.handle import Handle
from openbark.engine.request import CascadeResult
from openbark.errors import BusyError

_Report = dict[str, Any]

_PIECES = 3
"""Requests of one listener, played one after the other."""

_OVERLOAD = 10.0
_FEWEST_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class Serving:
    """What is measured. clips: concurrent ones, against as many one by one; repeat: rounds of that; load: part
    of the measured throughput that listeners ask for; seconds: how long they keep coming."""

    clips: int = 8
    repeat: int = 3
    load: float = 0.7
    seconds: float = 20.0
    max_batch: int = 16
    max_queued: int = 64


def together(
    backend: BatchingBackend,
    traffic: Traffic,
    serving: Serving,
    read_rate: Callable[[], float],
    say: Callable[[str], None],
) -> _Report:
    """`clips` requests one by one, then at once; medians over the rounds, whether the tokens are equal, and what a
    batch could reach (`bench.ceiling`). read_rate: bytes per second of a plain read now, on which all of it depends;
    asked before and after each half of a round."""
    requests = [traffic.request(number) for number in range(serving.clips)]
    rounds: list[tuple[float, float]] = []
    rates = [read_rate()]
    same = True
    audio_seconds = 0.0
    work, meter = SoloWork(), StepMeter(backend, serving.clips)
    for number in range(serving.repeat):
        before = sum(work.seconds.values())
        alone = []
        for request in requests:
            alone.append(work.run(backend, request))
            if not meter.rows:
                meter.open(request, work)
            meter.measure()
        rates.append(read_rate())
        started = time.perf_counter()
        with Engine(backend, max_batch=serving.max_batch) as engine:
            batch = run_batch(engine, requests)
        spent = time.perf_counter() - started
        rates.append(read_rate())
        rounds.append((sum(work.seconds.values()) - before, spent))
        say(
            f"round {number + 1}: {rounds[-1][0]:.2f} s alone, {rounds[-1][1]:.2f} s together; memory "
            + ", ".join(f"{rate / 1e9:.0f}" for rate in rates[-3:])
            + " GB/s"
        )
        same &= all(
            np.array_equal(one.fine, other.fine) for one, other in zip(alone, batch, strict=True)
        )
        audio_seconds = sum(_seconds(result, backend) for result in alone)
    solo, batched = (statistics.median(column) for column in zip(*rounds, strict=True))
    ceiling = ceiling_of(work, meter)
    return {
        "clips": serving.clips,
        "rounds": serving.repeat,
        "audio_seconds": audio_seconds,
        "solo_seconds": solo,
        "batch_seconds": batched,
        "solo_throughput": audio_seconds / solo,
        "batch_throughput": audio_seconds / batched,
        "gain": solo / batched,
        "gains": [one / other for one, other in rounds],
        "read_gb_per_second": [rate / 1e9 for rate in rates],
        "tokens_equal": same,
        "ceiling": asdict(ceiling),
        "share_of_ceiling": solo / batched / ceiling.in_turn,
    }


@dataclass(eq=False)
class Listener:
    """Someone who asked for a few clips at once and plays them as they come."""

    arrived: float
    handles: list[Handle] = field(default_factory=list)
    ready: dict[int, float] = field(default_factory=dict)

    def gaps(self, seconds: Sequence[float]) -> int:
        """How often the playback of clips of these lengths ran dry."""
        playing, count = self.ready[0], 0
        for index, length in enumerate(seconds):
            if self.ready[index] > playing:
                count += index > 0
                playing = self.ready[index]
            playing += length
        return count


def listening(backend: Backend, traffic: Traffic, serving: Serving, throughput: float) -> _Report:
    """Listeners who arrive at random, at `load` of the `throughput` in audio seconds per second: how long until
    they hear something, and how often playback runs dry."""
    dice = np.random.default_rng(0)
    per_second = serving.load * throughput / (_PIECES * traffic.workload.seconds)
    listeners: list[Listener] = []
    n_rejected = 0
    with Engine(backend, max_batch=serving.max_batch, max_queued=serving.max_queued) as engine:
        engine.start()
        started = arrival = time.perf_counter()
        while arrival - started < serving.seconds:
            time.sleep(max(0.0, arrival - time.perf_counter()))
            listener = Listener(arrived=arrival)
            try:
                _listen(engine, traffic, listener, len(listeners))
                listeners.append(listener)
            except BusyError:
                n_rejected += 1
            arrival += dice.exponential(1 / per_second)
        for listener in listeners:
            for handle in listener.handles:
                handle.result()
        wall = time.perf_counter() - started
    seconds = [
        [_seconds(handle.result(), backend) for handle in listener.handles]
        for listener in listeners
    ]
    waits = [listener.ready[0] - listener.arrived for listener in listeners]
    gaps = [listener.gaps(lengths) for listener, lengths in zip(listeners, seconds, strict=True)]
    return {
        "load": serving.load,
        "listeners": len(listeners),
        "rejected": n_rejected,
        "pieces": _PIECES,
        "ttfa_p50_seconds": float(np.percentile(waits, 50)),
        "ttfa_p99_seconds": float(np.percentile(waits, 99)),
        "underruns": sum(gaps),
        "listeners_with_underruns": sum(count > 0 for count in gaps),
        "throughput": float(sum(map(sum, seconds))) / wall,
    }


def _listen(engine: Engine, traffic: Traffic, listener: Listener, number: int) -> None:
    """Ask for all pieces of a listener, or for none."""
    for index in range(_PIECES):

        def done(_: Handle, index: int = index) -> None:
            listener.ready[index] = time.perf_counter()

        try:
            handle = engine.submit(traffic.request(number * _PIECES + index))
        except BusyError:
            for other in listener.handles:
                other.cancel()
            raise
        handle.add_done_callback(done)
        listener.handles.append(handle)


def overrun(backend: Backend, traffic: Traffic, serving: Serving, throughput: float) -> _Report:
    """Ten times as many requests as can be served, or as many more as fill the queue in a quarter of the listeners'
    time: how long a refusal takes, and what the queue holds."""
    span = serving.seconds / 4
    pause = min(
        traffic.workload.seconds / (_OVERLOAD * throughput),
        span / (serving.max_batch + serving.max_queued + _FEWEST_REFUSALS),
    )
    refused: list[float] = []
    waits: list[float] = []
    most_queued = n_accepted = 0
    with Engine(backend, max_batch=serving.max_batch, max_queued=serving.max_queued) as engine:
        engine.start()
        until = time.perf_counter() + span
        while (now := time.perf_counter()) < until or len(refused) < _FEWEST_REFUSALS:
            try:
                engine.submit(traffic.request(n_accepted))
                n_accepted += 1
            except BusyError as error:
                refused.append(time.perf_counter() - now)
                waits.append(error.retry_after or 0.0)
            most_queued = max(most_queued, engine.stats.queued)
            time.sleep(max(0.0, pause - (time.perf_counter() - now)))
        engine.close(drain=False)
        stats = engine.stats
    return {
        "offered_per_second": 1 / pause,
        "accepted": n_accepted,
        "rejected": len(refused),
        "reject_p50_ms": float(np.percentile(refused, 50)) * 1e3,
        "reject_p99_ms": float(np.percentile(refused, 99)) * 1e3,
        "retry_after_p50_seconds": float(np.percentile(waits, 50)),
        "most_queued": most_queued,
        "left_running": stats.running + stats.queued,
    }


def _seconds(result: CascadeResult, backend: Backend) -> float:
    return float(result.fine.shape[1] / backend.config.coarse_rules.rate_hz)
