"""Ray Serve around a model without weights: places grow with replicas, faults have OpenAI's shape, and what others
run in the cluster stays."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from waiting import wait_until

pytest.importorskip("ray.serve", reason="needs the extra [ray]")
pytest.importorskip("fastapi", reason="needs the extra [server]")

import fake_ray_model
import ray
from fake_ray_model import FakeModel
from ray import serve

from openbark.errors import CancelledError, DeviceError, ParamError
from openbark.server.extras.ray_cluster import await_room, connect, how_many_fit
from openbark.server.ray_serve import APPLICATION, Places, RayOptions, deploy, fit_cpus, remove
from openbark.server.settings import load_settings

pytestmark = pytest.mark.ray

MAX_ROWS = 2
LONG = 120.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        here = str(Path(__file__).parent)
        patch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
        patch.setenv(
            "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
            "openbark.server.extras.ray_front.proxy_middlewares",
        )
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            namespace="openbark-test",
        )
        connect()
        gate = ray.remote(num_cpus=0)(fake_ray_model.Gate).options(
            name=fake_ray_model.GATE, namespace="openbark-test"
        )
        kept = gate.remote()
        try:
            yield
        finally:
            del kept
            serve.shutdown()
            ray.shutdown()


@pytest.fixture
def start(cluster: None) -> Iterator[Callable[..., str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def one(n_replicas: int, model: FakeModel | None = None) -> str:
        ray.get(fake_ray_model.gate().set_open.remote(False))
        settings = load_settings(
            None, {"port": port, "max_rows": MAX_ROWS, "max_queued": 8, "shutdown_timeout": 1.0}
        )
        address = deploy(model or FakeModel(), settings, RayOptions(n_replicas, n_replicas))
        wait_for(
            lambda: httpx.get(f"{address}health/ready", timeout=LONG).status_code == 200, "ready"
        )
        return address

    yield one
    ray.get(fake_ray_model.gate().set_open.remote(True))
    remove()


def ask(address: str, text: str) -> httpx.Response:
    body = {"input": text, "response_format": "pcm"}
    return httpx.post(f"{address}v1/audio/speech", json=body, timeout=LONG)


def inside() -> int:
    return int(ray.get(fake_ray_model.gate().count.remote()))


def gauge(address: str, name: str) -> float:
    lines = httpx.get(f"{address}metrics", timeout=LONG).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"openbark_{name} "))


@pytest.mark.parametrize("n_replicas", [1, 2])
def test_utterances_at_once_grow_with_replicas(start: Callable[..., str], n_replicas: int) -> None:
    address = start(n_replicas)
    n_requests = 3 * MAX_ROWS
    with ThreadPoolExecutor(n_requests) as pool:
        answers: list[Future[httpx.Response]] = [
            pool.submit(ask, address, f"number {index}") for index in range(n_requests)
        ]
        places = n_replicas * MAX_ROWS
        wait_for(lambda: gauge(address, "in_flight") == n_requests, "all are admitted")
        wait_for(lambda: inside() == places, "every place is taken")
        assert gauge(address, "running") == places
        assert gauge(address, "waiting") == n_requests - places
        ray.get(fake_ray_model.gate().set_open.remote(True))
        assert {answer.result(LONG).status_code for answer in answers} == {200}


def test_limits_of_admission_grow_with_replicas(start: Callable[..., str]) -> None:
    address = start(2)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(ask, address, f"number {index}") for index in range(17)]
        # max_queued is 8 for one model, hence 16 for two.
        wait_for(lambda: any(answer.done() for answer in answers), "one is sent away")
        wait_for(lambda: gauge(address, "in_flight") == 16, "the others are admitted")
        ray.get(fake_ray_model.gate().set_open.remote(True))
        statuses = sorted(answer.result(LONG).status_code for answer in answers)
    assert statuses == [200] * 16 + [503]


def test_a_front_that_dies_is_a_retryable_error_and_comes_back(start: Callable[..., str]) -> None:
    address = start(1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, address, "while the front dies")
        wait_for(lambda: inside() == 1, "the request runs")
        named = ray.util.list_named_actors(all_namespaces=True)
        front = next(each["name"] for each in named if f"{APPLICATION}#front" in each["name"])
        ray.kill(ray.get_actor(front, namespace="serve"), no_restart=True)
        found = answer.result(LONG)
    assert found.status_code == 503
    assert found.json()["error"]["code"] == "front_restarting"
    assert int(found.headers["retry-after"]) >= 1
    ray.get(fake_ray_model.gate().set_open.remote(True))

    def is_served() -> bool:
        again = ask(address, "again")
        assert again.status_code == 200 or again.json()["error"]["type"] == "server_error"
        return again.status_code == 200

    wait_for(is_served, "the front is back")


def test_other_applications_of_the_cluster_stay(start: Callable[..., str]) -> None:
    class Other:
        def __call__(self) -> str:
            return "other"

    start(1)
    other = serve.deployment(Other, name="other", ray_actor_options={"num_cpus": 0})
    serve.run(other.bind(), name="theirs", route_prefix="/theirs")
    try:
        remove()
        assert set(serve.status().applications) == {"theirs"}
    finally:
        serve.delete("theirs")


def test_a_model_that_cannot_be_loaded_is_named(start: Callable[..., str]) -> None:
    with pytest.raises(DeviceError, match="no checkpoint at nowhere"):
        start(1, FakeModel(broken=True))


def node(cpus: float, gpus: float = 0, alive: bool = True) -> dict[str, object]:
    return {"Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus}}


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "n_fit"),
    [
        ([node(2)], 1, 0, 2),
        ([node(2)], 0.5, 0, 4),
        ([node(3), node(3)], 2, 0, 2),
        ([node(8, 1)], 1, 0.5, 2),
        ([node(8, 1), node(8, 1, alive=False)], 1, 1, 1),
        ([node(8)], 1, 1, 0),
        ([], 1, 0, 0),
    ],
)
def test_room_is_counted_node_by_node(
    nodes: list[dict[str, object]], cpus: float, gpus: float, n_fit: int
) -> None:
    assert how_many_fit(nodes, cpus, gpus) == n_fit  # type: ignore[arg-type]


def test_no_room_is_an_error_in_our_words_and_a_growing_cluster_is_waited_for() -> None:
    with pytest.raises(ParamError, match=r"no room for 3 replicas.*--replicas"):
        await_room(3, 1.0, 0.0, threading.Event(), lambda: [node(2)], patience=0.0)
    seen = [[node(2)], [node(2), node(2)]]
    await_room(3, 1.0, 0.0, threading.Event(), lambda: seen.pop(0) if seen[1:] else seen[0])
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        await_room(3, 1.0, 0.0, stop, lambda: [node(2)])


def test_places_keep_their_number_while_ray_cannot_be_asked() -> None:
    answers = iter([3])
    asked = threading.Event()

    def count() -> int:
        try:
            return next(answers)
        except StopIteration:
            asked.set()
            raise RuntimeError("the controller restarts") from None

    places = Places(4, count)
    assert asked.wait(LONG)
    assert places() == 12


def test_requests_that_wait_are_told_when_replicas_come() -> None:
    n_replicas = 1
    seen: set[int] = set()
    places = Places(4, lambda: n_replicas)
    places.on_change(lambda: seen.add(places()))
    wait_for(lambda: seen == {4}, "the first count")
    n_replicas = 3
    wait_for(lambda: seen == {4, 12}, "the count of the others")


@pytest.mark.parametrize(
    ("given", "threads", "cpus"),
    [
        (RayOptions(2, 2, cpus=0.5), 4, 0.5),
        (RayOptions(2, 2), 4, 4.0),
        (RayOptions(1, 1, gpus=1.0), None, 1.0),
    ],
)
def test_cpus_of_a_replica_follow_its_threads(
    given: RayOptions, threads: int | None, cpus: float
) -> None:
    assert fit_cpus(given, threads).cpus == cpus


def test_cpus_of_a_replica_are_a_share_of_the_cluster(cluster: None) -> None:
    assert fit_cpus(RayOptions(1, 1), None).cpus == 2.0
    assert fit_cpus(RayOptions(1, 2), None).cpus == 1.0
    assert fit_cpus(RayOptions(3, 3), None).cpus == 1.0


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"cpus": 0.0}, "--cpus"),
        ({"cpus": -1.0}, "--cpus"),
        ({"gpus": 1.5, "device": "cuda"}, "--gpus"),
        ({"gpus": -1.0, "device": "cuda"}, "--gpus"),
        ({"gpus": 1.0}, "--device"),
        ({"gpus": 0.0, "device": "cuda"}, "--device"),
        ({"fronts": 0}, "--fronts"),
    ],
)
def test_parts_of_machines_that_do_not_exist_are_refused(
    fields: dict[str, object], word: str
) -> None:
    with pytest.raises(ParamError, match=word):
        RayOptions.parse("1", **fields)  # type: ignore[arg-type]
    assert RayOptions.parse("1", "cuda", gpus=0.5) == RayOptions(gpus=0.5)
    assert RayOptions.parse("1", "cuda:1").gpus == 1.0
