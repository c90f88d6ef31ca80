"""`openbark serve` as a process of its own: the embedded model, signals under load, a restart after SIGKILL (R4)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi", reason="needs the extra [server]")

TEXT = "This is a sentence that takes a moment to say. " * 6


class Process:
    """A server process on a free port."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = (folder / "server.log").open("w")
        command = [sys.executable, "-m", "openbark", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--data-directory", str(folder / "data"), "--dtype", "float32", *arguments],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise TimeoutError(Path(self.log.name).read_text())

    def speak(self, **fields: object) -> httpx.Response:
        body = {"input": "Hello there.", "voice": "en_0", "seed": 1, "response_format": "pcm"}
        return httpx.post(f"{self.url}/v1/audio/speech", json={**body, **fields}, timeout=60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        self.log.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def start_one(*arguments: str) -> Process:
        process = Process(tmp_path, *arguments)
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
        with httpx.stream("POST", f"{server.url}/v1/audio/speech", json=body, timeout=60) as answer:
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
    assert begun.wait(60)
    return client, ends


def test_sigterm_lets_running_streams_end_and_sends_new_ones_away(
    start: Callable[..., Process],
) -> None:
    server = start()
    ends: list[str] = []
    begun = [threading.Event() for _ in range(3)]
    clients = [threading.Thread(target=stream, args=(server, ends, each)) for each in begun]
    for client in clients:
        client.start()
    for each in begun:
        assert each.wait(60)
    server.process.send_signal(signal.SIGTERM)
    unready = httpx.get(f"{server.url}/health/ready", timeout=10)
    while unready.status_code == 200:  # the signal is on its way
        unready = httpx.get(f"{server.url}/health/ready", timeout=10)
    assert (unready.status_code, unready.json()["error"]["code"]) == (503, "shutting_down")
    refused = []
    for _ in range(20):
        try:
            answer = server.speak()
        except httpx.HTTPError:
            break
        refused.append((answer.status_code, answer.json()["error"]["code"]))
        assert answer.headers["connection"] == "close"
        time.sleep(0.05)
    for client in clients:
        client.join(60)
    assert server.process.wait(30) == 0
    assert ends == ["speech.audio.done"] * 3
    assert set(refused) <= {(503, "shutting_down")}


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
    server = start()
    client, ends = listener(server)
    server.process.send_signal(signal.SIGTERM)
    client.join(60)
    assert server.process.wait(30) == 0
    assert ends[0] in ("speech.audio.error", "RemoteProtocolError", "ReadError")


def test_a_second_signal_leaves_now(start: Callable[..., Process]) -> None:
    server = start()
    client, ends = listener(server)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    # Sooner than the text could be spoken to its end, or the wait of 30 s be over.
    assert time.monotonic() - began < 15
    client.join(60)
    assert ends


def test_after_sigkill_there_is_nothing_to_repair(start: Callable[..., Process]) -> None:
    server = start()
    first = server.speak()
    threading.Thread(target=stream, args=(server, [], threading.Event()), daemon=True).start()
    time.sleep(0.2)
    server.process.kill()
    server.process.wait(20)
    again = start()
    assert again.speak().content == first.content


def test_a_taken_port_is_said_and_not_a_traceback(start: Callable[..., Process]) -> None:
    server = start()
    command = [sys.executable, "-m", "openbark", "serve", "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and str(server.port) in done.stderr


def test_no_text_reaches_the_log(start: Callable[..., Process]) -> None:
    server = start()
    secret = "Marmalade sandwiches at midnight."
    assert server.speak(input=secret).status_code == 200
    assert server.speak(input=secret, voice="nobody").status_code == 400
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
    log = Path(server.log.name).read_text()
    assert log and "marmalade" not in log.lower()
