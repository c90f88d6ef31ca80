"""`openbark serve` as a process of its own: the embedded model, signals under load, a restart after SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from waiting import DEADLINE_SECONDS, wait_until

pytest.importorskip("fastapi", reason="needs the extra [server]")

TEXT = "This is a sentence that takes a moment to say. " * 6


class Process:
    """A server process on a free port."""

    def __init__(self, folder: Path, *arguments: str, held: bool = False) -> None:
        """held: utterances stop after their first block until `release` (see held_process.py)."""
        self._release = folder / "release"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = (folder / "server.log").open("w")
        program = [str(Path(__file__).with_name("held_process.py")), str(self._release)]
        command = [sys.executable, *(program if held else ["-m", "openbark"])]
        command += ["serve", "--port", str(self.port)]
        never = {"OPENBARK_SERVER_STUCK_TIMEOUT": "100000"}
        self.process = subprocess.Popen(
            [*command, "--data-directory", str(folder / "data"), "--dtype", "float32", *arguments],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(never if held else {})},
        )

    def release(self) -> None:
        """Let held utterances end."""
        self._release.touch()

    def readiness(self) -> tuple[int, str]:
        """Status of the readiness check and its error code; 0 while there is no answer."""
        try:
            answer = httpx.get(f"{self.url}/health/ready", timeout=DEADLINE_SECONDS)
        except httpx.HTTPError:
            return 0, ""
        ready = answer.status_code == 200
        return answer.status_code, "" if ready else answer.json()["error"]["code"]

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.process.poll() is not None or self.readiness()[0] == 200)
        if self.process.poll() is not None:
            raise RuntimeError(Path(self.log.name).read_text())

    def wait_until_leaving(self) -> None:
        wait_until(lambda: self.readiness() == (503, "shutting_down"))

    def speak(self, **fields: object) -> httpx.Response:
        body = {"input": "Hello there.", "voice": "en_0", "seed": 1, "response_format": "pcm"}
        return httpx.post(
            f"{self.url}/v1/audio/speech", json={**body, **fields}, timeout=DEADLINE_SECONDS
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_SECONDS)
        self.log.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def start_one(*arguments: str, held: bool = False) -> Process:
        process = Process(tmp_path, *arguments, held=held)
        running.append(process)
        process.wait_until_ready()
        return process

    yield start_one
    for process in running:
        process.close()


def stream(server: Process, ends: list[str], begun: threading.Event) -> None:
    """Read one stream of events to its end, which is put into `ends`."""
    body = {"input": TEXT, "voice": "en_0", "response_format": "pcm", "stream_format": "sse"}
    last = "nothing"
    try:
        with httpx.stream(
            "POST", f"{server.url}/v1/audio/speech", json=body, timeout=DEADLINE_SECONDS
        ) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    begun.set()
                    last = json.loads(line[6:])["type"]
    except httpx.HTTPError as error:
        last = type(error).__name__
    ends.append(last)


def listener(server: Process) -> tuple[threading.Thread, list[str]]:
    """A client whose stream has begun, and where its end will be put."""
    ends: list[str] = []
    begun = threading.Event()
    client = threading.Thread(target=stream, args=(server, ends, begun))
    client.start()
    assert begun.wait(DEADLINE_SECONDS)
    return client, ends


def test_sigterm_lets_running_streams_end_and_sends_new_ones_away(
    start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBARK_SERVER_SHUTDOWN_TIMEOUT", "100000")
    server = start(held=True)
    # One: how many are spoken to at once depends on how fast the machine is.
    client, ends = listener(server)
    server.process.send_signal(signal.SIGTERM)
    server.wait_until_leaving()
    refused = server.speak()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    assert refused.headers["connection"] == "close"
    assert ends == []
    server.release()
    client.join(DEADLINE_SECONDS)
    assert server.process.wait(DEADLINE_SECONDS) == 0
    assert ends == ["speech.audio.done"]


def test_sigterm_lets_a_running_batch_end(
    start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBARK_SERVER_SHUTDOWN_TIMEOUT", "120")
    monkeypatch.setenv("OPENBARK_SERVER_STREAMS_PER_KEY", "1")
    server = start()
    body = {"input": "One sentence. And another one.", "response_format": "opus"}
    lines = [json.dumps({"custom_id": str(number), "body": body}) for number in range(8)]
    found: list[str] = []
    headers = {"content-type": "application/jsonl"}
    with httpx.stream(
        "POST",
        f"{server.url}/v1/audio/speech/batch",
        content="\n".join(lines),
        headers=headers,
        timeout=120,
    ) as answer:
        for line in answer.iter_lines():
            if not found:
                server.process.send_signal(signal.SIGTERM)
            found.append(json.loads(line)["custom_id"])
    assert found == [str(number) for number in range(8)]
    assert server.process.wait(60) == 0


def test_no_query_reaches_the_log(start: Callable[..., Process]) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    server = start()
    url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream?key=ob-secret&text=private"
    with connect(url, proxy=None) as socket:
        socket.send('{"type": "session.close"}')
    with pytest.raises(InvalidStatus):
        connect(url, proxy=None, origin="http://evil.example")  # type: ignore[arg-type]
    httpx.get(f"{server.url}/nothing?key=ob-secret")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
    log = Path(server.log.name).read_text()
    assert log and "ob-secret" not in log and "private" not in log


def test_a_stream_that_outlives_the_wait_ends_with_an_error(
    start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBARK_SERVER_SHUTDOWN_TIMEOUT", "0")
    server = start(held=True)
    client, ends = listener(server)
    server.process.send_signal(signal.SIGTERM)
    client.join(DEADLINE_SECONDS)
    assert server.process.wait(DEADLINE_SECONDS) == 0
    assert ends[0] in ("speech.audio.error", "RemoteProtocolError", "ReadError")


def test_a_second_signal_leaves_now(
    start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBARK_SERVER_SHUTDOWN_TIMEOUT", "100000")
    server = start(held=True)
    client, ends = listener(server)
    server.process.send_signal(signal.SIGTERM)
    server.wait_until_leaving()
    server.process.send_signal(signal.SIGTERM)
    # The stream would never end by itself, and the wait for it is longer than this deadline.
    assert server.process.wait(DEADLINE_SECONDS) == 0
    client.join(DEADLINE_SECONDS)
    assert ends and ends != ["speech.audio.done"]


def test_after_sigkill_there_is_nothing_to_repair(start: Callable[..., Process]) -> None:
    server = start()
    first = server.speak()
    client, ends = listener(server)
    server.process.kill()
    server.process.wait(DEADLINE_SECONDS)
    client.join(DEADLINE_SECONDS)
    assert ends
    again = start()
    assert again.speak().content == first.content


def test_a_taken_port_is_said_and_not_a_traceback(start: Callable[..., Process]) -> None:
    server = start()
    command = [sys.executable, "-m", "openbark", "serve", "--port", str(server.port)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and str(server.port) in done.stderr


def test_no_text_reaches_the_log(start: Callable[..., Process]) -> None:
    server = start()
    secret = "Marmalade sandwiches at midnight."
    assert server.speak(input=secret).status_code == 200
    assert server.speak(input=secret, voice="nobody").status_code == 400
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(DEADLINE_SECONDS)
    log = Path(server.log.name).read_text()
    assert log and "marmalade" not in log.lower()
