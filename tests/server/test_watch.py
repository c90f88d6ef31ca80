"""A server that notices when it cannot speak: readiness follows, requests end, and it comes back by itself."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fake_speaker import FakeSpeaker, FakeSpeech
from running_server import RunningServer
from waiting import DEADLINE_SECONDS, reached

from openbark.errors import BusyError, DeadlineError, DeviceError, OpenBarkError, TextError
from openbark.server.speakers.base import Utterance
from openbark.server.speakers.watched import WatchedSpeaker, WatchLimits
from openbark.speech.options import SpeechOptions
from openbark.voices.library import VoiceLibrary

Start = Callable[..., RunningServer]
BODY = {"input": "Hello.", "response_format": "pcm"}
LONG = {"input": "long " * 100, "response_format": "pcm"}


def ready(server: RunningServer) -> httpx.Response:
    return server.client.get("/health/ready")


def speak(server: RunningServer, **fields: object) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/audio/speech", json={**BODY, **fields}, timeout=DEADLINE_SECONDS
    )


def gauge(server: RunningServer, line: str) -> float:
    text = server.client.get("/metrics").text
    return next(float(each.split()[-1]) for each in text.splitlines() if each.startswith(line))


def test_an_engine_that_stands_still_is_noticed_and_comes_back(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "openbark.server")
    server = start(stuck_timeout=10.0, total_timeout=1e6, hold_after=3)
    events: list[str] = []

    def listen() -> None:
        body = {**LONG, "stream_format": "sse"}
        with httpx.stream(
            "POST", f"{server.url}/v1/audio/speech", json=body, timeout=DEADLINE_SECONDS
        ) as answer:
            for line in answer.iter_lines():
                events.append(line)

    client = threading.Thread(target=listen)
    client.start()
    server.wait_for(lambda: len(events) > 3)
    server.speaker.stuck = True
    server.advance_until(lambda: not client.is_alive(), 11.0)
    assert any("speech.audio.error" in line and "made no step" in line for line in events)
    found = ready(server)
    assert (found.status_code, found.json()["error"]["code"]) == (503, "not_ready")
    assert "made no step" in found.json()["error"]["message"]
    assert server.client.get("/health/live").status_code == 200
    refused = speak(server)
    assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
    assert gauge(server, 'openbark_faults_total{kind="stuck"}') == 1
    assert gauge(server, "openbark_ready") == 0
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    server.wait_for(lambda: server.parts.service.admission.in_flight == 0)
    server.speaker.stuck = False
    server.wait_for(lambda: ready(server).status_code == 200)
    assert speak(server).status_code == 200
    server.wait_for(lambda: server.speaker.running == 0)


def test_a_request_that_waits_for_a_stuck_engine_gets_its_deadline_error(start: Start) -> None:
    server = start(stuck_timeout=10.0, first_audio_timeout=1e6, total_timeout=1e6)
    server.speaker.stuck = True
    with ThreadPoolExecutor(1) as clients:
        asking = clients.submit(speak, server)
        server.wait_for(lambda: server.speaker.running == 1)
        server.advance_until(asking.done, 11.0)
    answer = asking.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    server.speaker.stuck = False


def test_a_client_that_leaves_a_stuck_engine_holds_no_place(start: Start) -> None:
    server = start(stuck_timeout=10.0)
    server.speaker.stuck = True
    server.ask_and_leave(**BODY)
    server.advance_until(lambda: server.parts.service.admission.in_flight == 0, 11.0)
    server.speaker.stuck = False
    server.wait_for(lambda: server.speaker.running == 0)


def test_samples_that_are_no_numbers_reach_nobody(start: Start) -> None:
    server = start(stuck_timeout=1.0)
    server.speaker.mad = True
    answer = speak(server)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "server_fault")
    server.wait_for(lambda: ready(server).status_code == 503)
    assert "no numbers" in ready(server).json()["error"]["message"]
    assert gauge(server, 'openbark_faults_total{kind="sound"}') == 1
    server.speaker.mad = False
    server.wait_for(lambda: ready(server).status_code == 200)
    assert speak(server).status_code == 200


@pytest.mark.parametrize("failure", [OpenBarkError("broken"), RuntimeError("CUDA error")])
def test_errors_that_repeat_are_a_fault_of_the_server(start: Start, failure: Exception) -> None:
    server = start(stuck_timeout=1.0, max_failures=2)
    server.speaker.failure = failure
    assert speak(server).status_code == 500
    assert ready(server).status_code == 200
    assert speak(server).status_code == 500
    server.wait_for(lambda: ready(server).status_code == 503)
    assert "2 requests in a row failed" in ready(server).json()["error"]["message"]
    server.speaker.failure = None
    server.wait_for(lambda: ready(server).status_code == 200)
    server.speaker.failure = failure
    assert speak(server).status_code == 500
    assert ready(server).status_code == 200


def test_what_callers_do_wrong_is_no_fault(start: Start) -> None:
    server = start(max_failures=1)
    for failure in (TextError("odd"), BusyError("full")):
        server.speaker.failure = failure
        speak(server)
        assert ready(server).status_code == 200


class OnlyThisText(FakeSpeaker):
    """Fails, or makes no numbers, for one text alone, as a request with odd parameters does."""

    def start(self, utterance: Utterance) -> FakeSpeech:
        self.mad = False
        speech = super().start(utterance)
        if utterance.text == "The odd one.":
            self.odd(speech)
        return speech

    def odd(self, speech: FakeSpeech) -> None:
        """What is odd about it."""


@pytest.mark.parametrize("error", [OverflowError("inf"), MemoryError(), RuntimeError("a bug")])
def test_what_one_request_provokes_does_not_make_the_server_unready(
    tmp_path: Path, error: Exception
) -> None:
    class Failing(OnlyThisText):
        def odd(self, speech: FakeSpeech) -> None:
            speech.failure = error

    async def run() -> None:
        watched = WatchedSpeaker(Failing(VoiceLibrary([tmp_path])), WatchLimits(10.0, failures=2))
        for _ in range(7):
            odd = watched.start(
                Utterance("The odd one.", SpeechOptions(seed=1, params=watched.default_params))
            )
            with pytest.raises(type(error)):
                async for _ in odd:
                    pass
            await odd.aclose()
            if watched._trial is not None:
                await watched._trial
            assert watched.fault is None

    asyncio.run(run())


def test_a_request_that_makes_no_numbers_fails_alone(tmp_path: Path) -> None:
    class Mad(OnlyThisText):
        def odd(self, speech: FakeSpeech) -> None:
            speech.mad = True

    async def run() -> None:
        watched = WatchedSpeaker(Mad(VoiceLibrary([tmp_path])), WatchLimits(10.0))
        odd = watched.start(
            Utterance("The odd one.", SpeechOptions(seed=1, params=watched.default_params))
        )
        with pytest.raises(DeviceError):
            async for _ in odd:
                pass
        await odd.aclose()
        if watched._trial is not None:
            await watched._trial
        assert watched.fault is None

    asyncio.run(run())


def test_a_slow_engine_is_not_stuck(tmp_path: Path) -> None:
    moment = 0.0
    speaker = FakeSpeaker(VoiceLibrary([tmp_path]))
    watched = WatchedSpeaker(speaker, WatchLimits(10.0), clock=lambda: moment)
    assert watched.check_progress() is None
    moment = 100.0
    assert watched.check_progress() is None, "idle is not stuck"
    speaker.running = 1
    for _ in range(5):
        moment += 9.0
        speaker.progress += 1
        assert watched.check_progress() is None
    moment += 9.0
    assert watched.check_progress() is None
    moment += 2.0
    found = watched.check_progress()
    assert found is not None and found.kind == "stuck"
    speaker.progress += 1
    assert watched.check_progress() is None


def test_a_replica_that_stands_still_fails_the_check_of_ray(tmp_path: Path) -> None:
    pytest.importorskip("ray.serve", reason="needs the extra [ray]")
    from openbark.server.extras.ray_speaker import ModelOptions, RaySpeech, Replica

    replica = Replica(ModelOptions(dtype="float32", threads=1), 2, WatchLimits(0.05))
    asyncio.run(replica.check_health())
    fake = FakeSpeaker(VoiceLibrary([tmp_path]))
    real, replica._speaker._speaker = replica._speaker._speaker, fake
    real.close()
    say = Utterance("Hello there.", SpeechOptions(seed=1, params=fake.default_params))

    async def hear() -> None:
        fake.stuck = True
        hearing = asyncio.ensure_future(anext(aiter(replica.speak(say))))
        await reached(lambda: replica._speaker.check_progress() is not None)
        with pytest.raises(DeviceError, match="no step"):
            await replica.check_health()
        with pytest.raises(DeadlineError):
            await hearing
        fake.stuck = False
        await reached(lambda: replica._speaker.check_progress() is None)
        await replica.check_health()

    asyncio.run(hear())

    class Front:
        """Replicas in turn: one that stood still, then a good one."""

        running = 0

        def __init__(self) -> None:
            self.asked = 0

        async def ask(self, utterance: Utterance) -> AsyncIterator[object]:
            self.asked += 1
            async for found in replica.speak(utterance):
                yield found
                if self.asked == 1:
                    raise DeadlineError("it stands still")

    async def through() -> int:
        return sum([len(block) async for block in RaySpeech(Front(), say)])

    assert asyncio.run(through()) == len("Hello there.") * 1200


STUCK_PROCESS = """
import threading
from openbark.errors import CancelledError
from openbark.server import run, settings
from openbark.server.app import create_app
from openbark.voices.library import VoiceLibrary
from fake_speaker import FakeSpeaker, FakeSpeech

class Stuck(FakeSpeaker):
    def close(self):
        threading.Event().wait()

door_settings = settings.load_settings(None, {"port": 0})
door = run.listen(door_settings)
print(door.getsockname()[1], flush=True)
app = create_app(Stuck(VoiceLibrary([])), door_settings)
import openbark.server.speakers.watched as watched
watched._CLOSE_SECONDS = 0.2
run.serve(app, door_settings, door)
"""


def test_a_stuck_engine_does_not_keep_the_process() -> None:
    command = [sys.executable, "-c", STUCK_PROCESS]
    folder = Path(__file__).parent
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        port = int(process.stdout.readline())
        url = f"http://127.0.0.1:{port}/health/ready"
        with httpx.Client(
            transport=httpx.HTTPTransport(retries=5), timeout=DEADLINE_SECONDS
        ) as client:
            assert client.get(url).status_code == 200
        process.terminate()
        assert process.wait(30) == 1
        assert "the process ends without it" in process.stderr.read()
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_SECONDS)
