"""The same application on Ray Serve: replicas of the model that come and go with the load, and the application
in front of them. Needs the extras [server] and [ray].
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve

from openbark.errors import CancelledError, DeviceError, ParamError
from openbark.server.app import create_app
from openbark.server.extras.ray_cluster import await_room, connect, running_port
from openbark.server.extras.ray_front import FrontApp
from openbark.server.extras.ray_speaker import RayModel, RaySpeaker, Replica
from openbark.server.run import listen
from openbark.server.settings import ServerSettings
from openbark.server.speakers.watched import WatchLimits
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

APPLICATION = "openbark"
"""Name of the application in Ray Serve."""

_MODEL = "openbark-model"
_REPLICA, _FRONT = "replica", "front"
_POLL_SECONDS = 0.2
# Of each replica, besides the utterances: questions of the front, such as for a plan.
_SPARE_CALLS = 4
_FAILED = ("DEPLOY_FAILED", "UNHEALTHY")

_Notify = Callable[[str], None]


@dataclass(frozen=True)
class RayOptions:
    """least, most: replicas of the model; the same number switches autoscaling off. cpus, gpus: reserved for each;
    cpus None takes the threads of the model, or an equal share of the cluster's CPUs. fronts: processes that take
    the requests and encode."""

    least: int = 1
    most: int = 1
    cpus: float | None = None
    gpus: float = 0.0
    fronts: int = 1

    @classmethod
    def parse(
        cls,
        replicas: str,
        device: str | None = None,
        cpus: float | None = None,
        gpus: float | None = None,
        fronts: int = 1,
    ) -> RayOptions:
        """From "2", or "1:4" for as many as the load needs. Raises ParamError."""
        match = re.fullmatch(r"([1-9]\d{0,3})(?::([1-9]\d{0,3}))?", replicas)
        least, most = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if least > most:
            raise ParamError(f"--replicas is {replicas!r}; allowed: a number such as 2, or 1:4")
        if cpus is not None and not 0 < cpus < 1e4:
            raise ParamError(f"--cpus is {cpus:g}; allowed: more than 0, such as 0.5 or 4")
        if gpus is not None and not (0 <= gpus <= 1 or gpus == int(gpus)):
            raise ParamError(
                f"--gpus is {gpus:g}; allowed: a part of one GPU such as 0.5, or a whole number"
            )
        if fronts < 1:
            raise ParamError(f"--fronts is {fronts}; allowed: a whole number from 1")
        on_gpu = (device or "").startswith("cuda")
        if gpus is not None and (gpus > 0) != on_gpu:
            raise ParamError(
                f"--gpus is {gpus:g} with --device {device or 'cpu'}; give --device cuda with --gpus above 0, "
                "or leave --gpus out"
            )
        used = gpus if gpus is not None else 1.0 if on_gpu else 0.0
        return cls(least, most, cpus, used, fronts)


def deploy(
    model: RayModel,
    settings: ServerSettings,
    options: RayOptions,
    leave: threading.Event | None = None,
    notify: _Notify = lambda line: None,
) -> str:
    """Start the application on the Ray cluster of this process and return its address when every replica serves.

    leave: ends the wait with CancelledError. notify: told one line per step. Raises ParamError for settings that
    cannot hold or replicas that the cluster has no room for, DeviceError when a replica cannot load its model.
    """
    settings.keys()
    stop = leave or threading.Event()
    port = _start_serve(settings, notify)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{port}/"
    front: Any = serve.deployment(
        serve.ingress(_builder(settings))(),
        name=_FRONT,
        num_replicas=options.fronts,
        # As many as the replicas take at most; what is too much is refused by the front in its own words.
        max_ongoing_requests=2 * settings.max_queued * options.most,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=settings.shutdown_timeout,
        health_check_period_s=2.0,
    )
    _run(front.bind(), APPLICATION, "/")
    fitted = fit_cpus(options, model.threads)
    await_room(fitted.least, fitted.cpus or 0.0, fitted.gpus, stop)
    threads = model.threads or max(1, int(fitted.cpus or 1))
    _run_replicas(model.with_threads(threads), settings, fitted)
    _await(lambda: _status(APPLICATION) == "RUNNING", stop)
    notify(f"answering at {address} (503 until the model is loaded; Ctrl-C ends)")
    _await(lambda: n_running() >= options.least, stop)
    return address


def fit_cpus(options: RayOptions, threads: int | None) -> RayOptions:
    """The options with a number of CPUs for each replica: those given, else the threads asked for, else one on a GPU
    and an equal share of the cluster on CPUs."""
    if options.cpus is not None:
        return options
    if threads is not None:
        return replace(options, cpus=float(threads))
    if options.gpus:
        return replace(options, cpus=1.0)
    resources: Any = ray.cluster_resources  # Ray publishes no types for it.
    share = int(resources().get("CPU", 1.0) // options.most)
    return replace(options, cpus=float(max(1, share)))


def serve_until_signal(model: RayModel, settings: ServerSettings, options: RayOptions) -> None:
    """Deploy, wait for SIGINT or SIGTERM, then take our applications down; running requests have `shutdown_timeout`
    seconds."""
    settings.keys()
    leave = threading.Event()
    connect()
    # After `connect`: Ray replaces the handler of SIGTERM by one that ends the process with an error.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: leave.set())
    try:
        deploy(model, settings, options, leave, _notify)
        _notify("every replica is ready")
        while not leave.wait(1.0):
            pass
    except CancelledError:
        pass
    finally:
        _notify("shutting down")
        remove()
        ray.shutdown()


def remove() -> None:
    """Delete our applications, the front first; those of others stay."""
    for name in (APPLICATION, _MODEL):
        if name in serve.status().applications:
            serve.delete(name)


def _start_serve(settings: ServerSettings, notify: _Notify) -> int:
    """Start Ray Serve unless the cluster has it; the port of its proxies."""
    port = running_port()
    if port is not None:
        if settings.port not in (0, port):
            notify(f"Ray Serve of this cluster listens on port {port}; --port has no effect")
        remove()
        return port
    door = listen(settings)
    port = int(door.getsockname()[1])
    door.close()
    serve.start(http_options={"host": settings.host, "port": port})
    return port


def _run_replicas(model: RayModel, settings: ServerSettings, options: RayOptions) -> None:
    # Decorators by their types; called with a class they give a deployment.
    deployment: Any = serve.deployment
    replicas = deployment(
        Replica,
        name=_REPLICA,
        max_ongoing_requests=settings.max_rows + _SPARE_CALLS,
        max_queued_requests=settings.max_queued * options.most,
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        graceful_shutdown_timeout_s=settings.shutdown_timeout,
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        **_scale(options, settings),
    ).bind(model, settings.max_rows, WatchLimits(settings.stuck_timeout, settings.max_failures))
    _run(replicas, _MODEL, None)


def _run(application: Any, name: str, route_prefix: str | None) -> None:
    """Deploy without waiting, so that the front and the replicas start together."""
    serve._run(application, name=name, route_prefix=route_prefix, _blocking=False)


def _status(name: str) -> str:
    found = serve.status().applications.get(name)
    return found.status.value if found is not None else "NOT_STARTED"


def _await(is_done: Callable[[], bool], leave: threading.Event) -> None:
    """Wait for it. Raises DeviceError when an application of ours cannot start, CancelledError when told to leave."""
    while not is_done():
        if leave.wait(_POLL_SECONDS):
            raise CancelledError("told to end while the model was loading")
        for name, what in ((_MODEL, "no replica could load the model"), (APPLICATION, "no front")):
            found = serve.status().applications.get(name)
            if found is not None and found.status.value in _FAILED:
                messages = [each.message for each in found.deployments.values()]
                raise DeviceError(f"{what}: {_reason((messages or [found.message])[0])}")


def n_running() -> int:
    """How many replicas have their model now."""
    found = serve.status().applications.get(_MODEL)
    deployed = found.deployments.get(_REPLICA) if found is not None else None
    if deployed is None:
        return 0
    return sum(n for state, n in deployed.replica_states.items() if state == "RUNNING")


def _reason(message: str) -> str:
    """The error of a replica, out of Ray's report of it, which ends with a traceback."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception)\b.*:", line)]
    return (errors or lines or ["no reason is known"])[-1]


def _scale(options: RayOptions, settings: ServerSettings) -> dict[str, Any]:
    if options.least == options.most:
        return {"num_replicas": options.least}
    return {
        "autoscaling_config": {
            "min_replicas": options.least,
            "max_replicas": options.most,
            "target_ongoing_requests": max(1, settings.max_rows // 2),
        }
    }


def _builder(settings: ServerSettings) -> Callable[[], FrontApp]:
    async def build() -> FastAPI:
        handle = serve.get_deployment_handle(_REPLICA, _MODEL)
        facts, voices = await handle.facts.remote()
        places = Places(settings.max_rows)
        app = create_app(RaySpeaker(handle, facts, _library(voices), places), settings)
        loop, limiter = asyncio.get_running_loop(), app.state.parts.service.limiter
        places.on_change(lambda: loop.call_soon_threadsafe(limiter.admit))
        return app

    def front() -> FrontApp:
        """Called where the application runs."""
        logging.getLogger("openbark.server").setLevel(logging.INFO)
        return FrontApp(build)

    return front


class Places:
    """How many utterances all replicas compute at once: asked of Ray every second, by a thread that ends with the
    process."""

    def __init__(self, max_rows: int, count: Callable[[], int] = n_running) -> None:
        self._max_rows = max_rows
        self._count = count
        self._n_replicas = 1
        self._changed: Callable[[], object] = lambda: None
        threading.Thread(target=self._watch, name="openbark-places", daemon=True).start()

    def __call__(self) -> int:
        """Now; those of one replica while none is known, as one that dies is replaced within seconds."""
        return self._max_rows * self._n_replicas

    def on_change(self, act: Callable[[], object]) -> None:
        """Call `act` whenever the number may have changed: requests that wait may have a place now."""
        self._changed = act

    def _watch(self) -> None:
        while True:
            try:
                self._n_replicas = max(1, self._count())
                self._changed()
            except Exception as error:
                # The controller of Ray Serve restarts, or the front ends: the last number holds.
                logging.getLogger("openbark.server").debug("replicas not counted: %s", error)
            time.sleep(1.0)


def _library(voices: Mapping[str, Voice]) -> VoiceLibrary:
    """The model's voices as files of this machine, which may not have the model."""
    folder = Path(mkdtemp(prefix="openbark-voices-"))
    for name, voice in voices.items():
        path = folder / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        voice.save(path)
    return VoiceLibrary([folder])


def _notify(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
