"""The application on a local Ray Serve with two replicas: the same bytes, and nothing lost when one dies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from waiting import DEADLINE_SECONDS, wait_until

pytest.importorskip("ray.serve", reason="needs the extra [ray]")
pytest.importorskip("fastapi", reason="needs the extra [server]")

import ray
from ray import serve

from openbark.api import Bark
from openbark.audio import pcm16
from openbark.errors import ParamError
from openbark.longform.options import LongFormOptions
from openbark.server.extras.ray_speaker import ModelOptions
from openbark.server.ray_serve import RayOptions, deploy
from openbark.server.settings import load_settings

pytestmark = pytest.mark.ray

TEXT = "This sentence is spoken by one of two replicas. The next one may be spoken by another."


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # As many as there are replicas: the front must fit beside them.
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        deploy(
            ModelOptions(dtype="float32", threads=1),
            load_settings(None, {"port": port}),
            RayOptions(2, 2),
        )
        wait_until_ready(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def wait_until_ready(url: str) -> None:
    def ready() -> bool:
        found = httpx.get(f"{url}/health/ready", timeout=DEADLINE_SECONDS)
        if found.status_code != 200:
            assert found.json()["error"]["code"] == "model_loading", found.text
        return found.status_code == 200

    wait_until(ready, "readiness")


def speak(url: str, seed: int, **fields: object) -> httpx.Response:
    body = {"input": TEXT, "voice": "en_0", "seed": seed, "response_format": "pcm", **fields}
    return httpx.post(f"{url}/v1/audio/speech", json=body, timeout=120)


def replicas() -> list[str]:
    named = ray.util.list_named_actors(all_namespaces=True)
    return [each["name"] for each in named if "openbark-model#replica" in each["name"]]


def test_the_bytes_are_those_of_one_process(url: str) -> None:
    bark = Bark.load(dtype="float32")
    clip = bark.generate(TEXT, voice="en_0", seed=5, options=LongFormOptions())
    assert speak(url, 5).content == pcm16(clip.waveform).astype("<i2").tobytes()
    assert httpx.get(f"{url}/health/ready", timeout=DEADLINE_SECONDS).status_code == 200
    names = [
        voice["id"]
        for voice in httpx.get(f"{url}/v1/audio/voices", timeout=DEADLINE_SECONDS).json()["voices"]
    ]
    assert "en_0" in names and "alloy" in names


def test_errors_keep_their_shape(url: str) -> None:
    answer = speak(url, 1, voice="nobody")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "voice_not_found")
    script = {"input": "[voice:/etc/passwd] Hi.", "script": "text"}
    assert speak(url, 1, **script).status_code == 400


def test_a_replica_that_dies_under_load_costs_no_request(url: str) -> None:
    expected = {seed: speak(url, seed).content for seed in range(3)}
    assert len(replicas()) == 2
    with ThreadPoolExecutor(6) as pool:
        answers = [(seed, pool.submit(speak, url, seed)) for seed in [0, 1, 2] * 4]
        while not any(answer.done() for _, answer in answers):
            pass
        ray.kill(ray.get_actor(replicas()[0], namespace="serve"), no_restart=True)
        for seed, answer in answers:
            found = answer.result(120)
            assert found.status_code == 200, found.text
            assert found.content == expected[seed]


@pytest.mark.parametrize("replicas", ["0", "3:2", "two", "1:", ""])
def test_odd_numbers_of_replicas_are_refused(replicas: str) -> None:
    with pytest.raises(ParamError, match="--replicas"):
        RayOptions.parse(replicas)
    assert RayOptions.parse("1:4") == RayOptions(1, 4)
    assert RayOptions.parse("2", "cuda:1").gpus == 1.0
