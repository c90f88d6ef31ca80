"""The same application on Ray Serve: replicas of the model that come and go with the load, and the application
in front of them. Needs the extras [server] and [ray].
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from fastapi import FastAPI
from ray import serve

from openbark.errors import ParamError
from openbark.server.app import create_app
from openbark.server.ray_speaker import ModelFacts, ModelOptions, RaySpeaker, Replica
from openbark.server.settings import ServerSettings
from openbark.server.watched import WatchLimits
from openbark.voices.library import VoiceLibrary

__all__ = ["APPLICATION", "RayOptions", "deploy", "serve_until_signal"]

APPLICATION = "openbark"
"""Name of the application in Ray Serve."""

_MODEL = "openbark-model"


@dataclass(frozen=True)
class RayOptions:
    """least, most: replicas of the model; the same number switches autoscaling off. cpus, gpus: of each."""

    least: int = 1
    most: int = 1
    cpus: float = 1.0
    gpus: float = 0.0

    @classmethod
    def parse(cls, replicas: str, device: str | None = None) -> RayOptions:
        """From "2", or "1:4" for as many as the load needs. Raises ParamError."""
        match = re.fullmatch(r"([1-9]\d{0,3})(?::([1-9]\d{0,3}))?", replicas)
        least, most = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if least > most:
            raise ParamError(f"--replicas is {replicas!r}; legal: a number such as 2, or 1:4")
        return cls(least, most, gpus=1.0 if (device or "").startswith("cuda") else 0.0)


def deploy(model: ModelOptions, settings: ServerSettings, ray: RayOptions) -> None:
    """Start the application on the Ray cluster of this process, a local one if there is none, and return when it
    serves. Raises ParamError for settings that cannot hold."""
    settings.keys()
    # Decorators by their types; called with a class they give a deployment.
    deployment: Any = serve.deployment
    voices = deployment(
        Replica,
        name="replica",
        max_ongoing_requests=settings.max_rows,
        max_queued_requests=settings.max_queued,
        ray_actor_options={"num_cpus": ray.cpus, "num_gpus": ray.gpus},
        graceful_shutdown_timeout_s=settings.shutdown_timeout,
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        **_scale(ray, settings),
    ).bind(model, settings.max_rows, WatchLimits(settings.stuck_timeout, settings.max_failures))
    serve.start(http_options={"host": settings.host, "port": settings.port})
    replicas = serve.run(voices, name=_MODEL, route_prefix=None)
    facts: ModelFacts = replicas.facts.remote().result()
    front = deployment(
        serve.ingress(_builder(settings, facts))(),
        name="front",
        max_ongoing_requests=2 * settings.max_queued,
        ray_actor_options={"num_cpus": 0.1},
        graceful_shutdown_timeout_s=settings.shutdown_timeout,
    ).bind()
    serve.run(front, name=APPLICATION, route_prefix="/")


def serve_until_signal(model: ModelOptions, settings: ServerSettings, ray: RayOptions) -> None:
    """Deploy, wait for SIGINT or SIGTERM, then take it down; running requests have `shutdown_timeout` seconds."""
    leave = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: leave.set())
    deploy(model, settings, ray)
    try:
        while not leave.wait(1.0):
            pass
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]


def _scale(ray: RayOptions, settings: ServerSettings) -> dict[str, Any]:
    if ray.least == ray.most:
        return {"num_replicas": ray.least}
    return {
        "autoscaling_config": {
            "min_replicas": ray.least,
            "max_replicas": ray.most,
            "target_ongoing_requests": max(1, settings.max_rows // 2),
        }
    }


def _builder(settings: ServerSettings, facts: ModelFacts) -> Callable[[], FastAPI]:
    def build() -> FastAPI:
        """Called where the application runs."""
        handle = serve.get_deployment_handle("replica", _MODEL)
        return create_app(RaySpeaker(handle, facts, _library(facts)), settings)

    return build


def _library(facts: ModelFacts) -> VoiceLibrary:
    """The model's voices as files of this machine, which may not have the model."""
    folder = Path(mkdtemp(prefix="openbark-voices-"))
    for name, voice in facts.voices.items():
        path = folder / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        voice.save(path)
    return VoiceLibrary([folder])
