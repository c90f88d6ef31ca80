"""The Ray cluster under the server: connect to it or start one here, and see whether replicas fit in it.

Needs the extra [ray].
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray import serve
from ray.serve.exceptions import RayServeException

from openbark.errors import CancelledError, ParamError

_MIDDLEWARES = "openbark.server.extras.ray_front.proxy_middlewares"
_MIDDLEWARES_VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
_ROOM_SECONDS = 60.0
_LOOK_SECONDS = 0.5
# Ray counts in ten-thousandths.
_TOLERANCE = 1e-4


def connect() -> None:
    """Connect to the cluster of RAY_ADDRESS or of this machine, or start one that ends with this process.

    Ray's own lines are kept to its log files, but for errors.
    """
    # Ray's coming default, which it warns of on every start where it is not chosen.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Read by the proxies, which inherit the environment where the cluster is started.
    os.environ.setdefault(_MIDDLEWARES_VARIABLE, _MIDDLEWARES)
    for name in ("ray", "ray.serve", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if ray.is_initialized():
        return
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        ray.init(address="local", include_dashboard=False, **quiet)


def running_port() -> int | None:
    """The HTTP port of the cluster's Ray Serve; None where Serve does not run."""
    try:
        client = serve.context._get_global_client()
    except RayServeException:
        return None
    return int(client.http_config.port) if client is not None else None


def await_room(
    n_replicas: int,
    cpus: float,
    gpus: float,
    leave: threading.Event,
    nodes: Callable[[], Sequence[Mapping[str, Any]]] = ray.nodes,
    patience: float = _ROOM_SECONDS,
) -> None:
    """Wait until the replicas fit in the cluster, which may still be growing.

    Raises ParamError that names what is missing after `patience` seconds, CancelledError when told to leave.
    """
    deadline = time.monotonic() + patience
    while how_many_fit(nodes(), cpus, gpus) < n_replicas:
        if time.monotonic() >= deadline:
            raise ParamError(_no_room(nodes(), n_replicas, cpus, gpus))
        if leave.wait(_LOOK_SECONDS):
            raise CancelledError("told to end while waiting for room in the cluster")


def how_many_fit(nodes: Sequence[Mapping[str, Any]], cpus: float, gpus: float) -> int:
    """How many replicas the living nodes hold together; a replica is not spread over nodes."""
    total = 0
    for node in nodes:
        if not node.get("Alive", False):
            continue
        has = node.get("Resources", {})
        counts = [
            int((has.get(kind, 0.0) + _TOLERANCE) / each)
            for kind, each in (("CPU", cpus), ("GPU", gpus))
            if each > 0
        ]
        total += min(counts, default=1)
    return total


def _no_room(nodes: Sequence[Mapping[str, Any]], n_replicas: int, cpus: float, gpus: float) -> str:
    alive = [node.get("Resources", {}) for node in nodes if node.get("Alive", False)]
    have = ", ".join(
        f"{sum(each.get(kind, 0.0) for each in alive):g} {kind}s" for kind in ("CPU", "GPU")
    )
    return (
        f"the Ray cluster has no room for {n_replicas} replicas of {cpus:g} CPUs and {gpus:g} GPUs each: its "
        f"{len(alive)} nodes have {have} and hold {how_many_fit(nodes, cpus, gpus)} of them; ask for fewer with "
        "--replicas, make them smaller with --cpus, --threads or --gpus, or add nodes"
    )
