"""A server under load, over HTTP: listeners at random, ten times too many of them, and clients that leave.

The load is open: requests arrive when they arrive. The server is a process of its own.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openbark import __version__
from openbark.bench.http_client import Heard, listen
from openbark.errors import OpenBarkError

_Report = dict[str, Any]

_TEXTS = (
    "The train on platform two leaves in four minutes.",
    "It rained all night. In the morning the streets were clean, and the birds came back.",
    "Please call the office before noon.",
    "A good story begins in the middle. The rest can wait until the listener asks for it. "
    "Then it is told in one breath.",
)
_CROWD = 6
_LEAVE_SECONDS = (1e-3, 2.0)
_WARM_UP_PART = 0.25
_START_SECONDS = 120.0
_DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """What is measured. load: part of the capacity that listeners ask for; seconds: of each phase; overload: how
    many times too many; leavers: clients that hang up."""

    model: str = "embedded"
    load: float = 0.8
    seconds: float = 20.0
    overload: float = 10.0
    leavers: int = 1000
    max_queued: int = 24


@contextmanager
def _server(settings: HttpLoad) -> Iterator[tuple[str, int, int]]:
    """A server process: host, port, process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "openbark", "serve", "--port", str(port)]
    if settings.model != "embedded":
        command += ["--model", settings.model]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, env=_environment(settings), text=True
    )
    try:
        until = time.monotonic() + _START_SECONDS
        while _get(port, "/health/ready") is None:
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                _, said = process.communicate()
                raise OpenBarkError(f"the server did not get ready: {said.strip()[-500:]}")
            time.sleep(0.1)
        yield "127.0.0.1", port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _environment(settings: HttpLoad) -> dict[str, str]:
    return {**os.environ, "OPENBARK_SERVER_MAX_QUEUED": str(settings.max_queued)}


def http_report(settings: HttpLoad, say: Callable[[str], None]) -> _Report:
    """Start a server, measure, end it. `say` is told of each step. Raises OpenBarkError when it does not start."""
    with _server(settings) as (host, port, pid):
        return asyncio.run(_measure(settings, host, port, pid, say))


async def _measure(
    settings: HttpLoad, host: str, port: int, pid: int, say: Callable[[str], None]
) -> _Report:
    ask = _Asker(host, port)
    say(f"capacity: {_CROWD} clients for {settings.seconds:g} s")
    capacity = await _capacity(ask, settings)
    say(f"{capacity:.1f} s of audio a second; listeners at {settings.load:.0%} of it")
    steady = await _steady(ask, settings, capacity)
    say(f"{settings.overload:g} times too many for {settings.seconds:g} s")
    watching = asyncio.ensure_future(_watch_memory(pid))
    crowd = await _steady(ask, settings, capacity * settings.overload / settings.load)
    watching.cancel()
    memory = await watching
    say(f"{settings.leavers} clients that leave")
    await _leavers(ask, settings)
    idle = await _until_idle(port)
    return {
        "benchmark": "serve-http",
        "version": __version__,
        "model": settings.model,
        "capacity": capacity,
        "load": settings.load,
        "overload": settings.overload,
        "phase_seconds": settings.seconds,
        "steady": steady,
        "crowd": {
            **crowd,
            "rss_mb": memory,
            "rss_spread": _spread(memory),
            "rss_drift": _drift(memory),
        },
        "leavers": settings.leavers,
        "rss_end_mb": _memory(pid),
        "in_flight_at_end": idle,
    }


class _Asker:
    """Requests by number: number i is the same whenever it is asked for."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port

    async def __call__(self, number: int, leave_after: float | None = None) -> Heard:
        body: dict[str, object] = {"input": _TEXTS[number % len(_TEXTS)], "seed": number}
        return await listen(*self._place, body, leave_after)


async def _capacity(ask: _Asker, settings: HttpLoad) -> float:
    """Audio seconds a second with a small crowd that asks again as soon as it is answered."""
    started = time.perf_counter()
    heard: list[Heard] = []

    async def client(number: int) -> None:
        while time.perf_counter() - started < settings.seconds:
            heard.append(await ask(number))
            number += _CROWD

    await asyncio.gather(*(client(number) for number in range(_CROWD)))
    return sum(each.seconds for each in heard) / (time.perf_counter() - started)


async def _steady(ask: _Asker, settings: HttpLoad, capacity: float) -> _Report:
    """Listeners who arrive at random, at `load` of `capacity`."""
    dice = np.random.default_rng(0)
    mean = sum(map(len, _TEXTS)) / len(_TEXTS) / 15
    rate = settings.load * capacity / mean
    tasks: list[asyncio.Future[Heard]] = []
    started = arrival = time.perf_counter()
    while arrival - started < settings.seconds:
        await asyncio.sleep(max(0.0, arrival - time.perf_counter()))
        tasks.append(asyncio.ensure_future(ask(len(tasks))))
        arrival += dice.exponential(1 / rate)
    every = await asyncio.gather(*tasks)
    spoken = [each for each in every if each.status == 200 and each.pieces]
    refused = [each.answer_seconds * 1e3 for each in every if each.status in (429, 503)]
    gaps = [each.silence() for each in spoken]
    return {
        "asked": len(every),
        "spoken": len(spoken),
        "broken": sum(not each.complete for each in every),
        "refused": len(refused),
        "refused_p50_ms": _percentile(refused, 50),
        "refused_p99_ms": _percentile(refused, 99),
        "first_audio_p50_seconds": _percentile([each.first_audio for each in spoken], 50),
        "first_audio_p99_seconds": _percentile([each.first_audio for each in spoken], 99),
        "silence_p95_seconds": _percentile(gaps, 95),
        "listeners_with_silence": sum(gap > 0 for gap in gaps),
        "throughput": sum(each.seconds for each in spoken)
        / (max(each.ended for each in every) - started),
    }


async def _leavers(ask: _Asker, settings: HttpLoad) -> None:
    dice = np.random.default_rng(1)
    places = asyncio.Semaphore(2 * _CROWD)

    async def leave(number: int, after: float) -> None:
        async with places:
            await ask(number, after)

    first, last = _LEAVE_SECONDS
    # Every order of magnitude alike: before the request is read, before the first audio, in the middle of it.
    moments = np.exp(dice.uniform(math.log(first), math.log(last), settings.leavers))
    await asyncio.gather(*(leave(number, float(after)) for number, after in enumerate(moments)))


async def _until_idle(port: int) -> float:
    """Requests still in flight when the server has had some seconds for those that left."""
    until = time.monotonic() + _DRAIN_SECONDS
    found = -1.0
    while time.monotonic() < until:
        text = await asyncio.to_thread(_get, port, "/metrics")
        match = re.search(r"^openbark_in_flight (\S+)$", text or "", re.MULTILINE)
        found = float(match[1]) if match else -1.0
        if found == 0.0:
            break
        await asyncio.sleep(0.1)
    return found


def _get(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return None


def _memory(pid: int) -> float | None:
    """Resident megabytes of a process, where the system tells."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1e3 if found else None


def _drift(memory: list[float]) -> float | None:
    """By how much the median of the last third is above that of the third before it, as a part of it."""
    third = len(memory) // 3
    if not third:
        return None
    before, after = np.median(memory[third : 2 * third]), np.median(memory[-third:])
    return float(after / before) - 1


async def _watch_memory(pid: int) -> list[float]:
    """Resident megabytes of a process once a second, until this is cancelled."""
    found: list[float] = []
    try:
        while (now := _memory(pid)) is not None:
            found.append(now)
            await asyncio.sleep(1.0)
    except asyncio.CancelledError:
        pass
    return found


def _spread(memory: list[float]) -> float | None:
    """How far memory was from its median at most, as a part of it, after the first quarter of the time."""
    steady = memory[int(len(memory) * _WARM_UP_PART) :]
    if not steady:
        return None
    median = float(np.median(steady))
    return max(max(steady) - median, median - min(steady)) / median


def _percentile(values: list[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def http_card(report: _Report) -> str:
    """Lines of text."""
    steady, crowd = report["steady"], report["crowd"]
    memory, spread, drift = crowd["rss_mb"], crowd["rss_spread"], crowd["rss_drift"]

    def shown(value: float | None, digits: int = 2) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    return "\n".join(
        [
            f"{report['model']} over HTTP: {report['capacity']:.1f} s of audio a second at most",
            f"at {report['load']:.0%} of that: {steady['spoken']} of {steady['asked']} listeners heard",
            f"  first audio after {shown(steady['first_audio_p50_seconds'])} s (p50), "
            f"{shown(steady['first_audio_p99_seconds'])} s (p99); playback dry for "
            f"{shown(steady['silence_p95_seconds'])} s (p95), {steady['listeners_with_silence']} listeners",
            f"{report['overload']:g} times too many: {crowd['spoken']} heard, {crowd['refused']} refused in "
            f"{shown(crowd['refused_p50_ms'], 1)} ms (p50), {shown(crowd['refused_p99_ms'], 1)} ms (p99), "
            f"{crowd['broken']} broken",
            f"  those heard: first audio after {shown(crowd['first_audio_p99_seconds'])} s (p99), playback dry for "
            f"{shown(crowd['silence_p95_seconds'])} s (p95)",
            f"  memory {shown(memory[0] if memory else None, 0)} to {shown(memory[-1] if memory else None, 0)} MB, "
            f"at most {shown(max(memory, default=None), 0)}; {shown(drift and 100 * drift, 1)} % from the second third "
            f"to the last, single seconds within {shown(spread and 100 * spread, 1)} %",
            f"{report['leavers']} clients left: {report['in_flight_at_end']:g} in flight afterwards, "
            f"{shown(report['rss_end_mb'], 0)} MB",
        ]
    )
