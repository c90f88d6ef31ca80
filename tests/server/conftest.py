"""A real server on a real port, around a speaker without a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from browsing import browser, visit  # noqa: F401 - fixtures
from fake_speaker import FakeSpeaker

pytest.importorskip("fastapi", reason="needs the extra [server]")

from openbark.server.app import create_app
from openbark.server.run import listen, uvicorn_config
from openbark.server.settings import load_settings
from openbark.server.tracing import Tracing
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice


class RunningServer:
    """A server in a thread: its address, its speaker, a client."""

    def __init__(
        self, speaker: FakeSpeaker, tracing: Tracing | None = None, **settings: object
    ) -> None:
        self.speaker = speaker
        self.settings = load_settings(None, {"port": 0, **settings})
        self.app = create_app(speaker, self.settings, tracing)  # type: ignore[arg-type]
        self.parts = self.app.state.parts
        config = uvicorn_config(self.app, self.settings)
        self._socket = listen(self.settings)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=20)
        self.wait_for(lambda: self._server.started)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until it holds; fails when it does not."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the condition never held")
            time.sleep(0.005)

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def voice_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    fine = np.arange(8 * 75).reshape(8, 75) % 1024
    for name in ("en_0", "en_1"):
        Voice(np.arange(50), fine[:2], fine).save(folder / f"{name}.npz")
    return folder


@pytest.fixture
def start(voice_folder: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers; keywords that are the speaker's go to it, the others are settings."""
    running: list[RunningServer] = []

    def start_one(**options: object) -> RunningServer:
        names = ("delay", "first_delay", "failure", "fail_after", "full")
        of_speaker = {name: options.pop(name) for name in names if name in options}
        speaker = FakeSpeaker(VoiceLibrary([voice_folder]), **of_speaker)  # type: ignore[arg-type]
        server = RunningServer(speaker, **options)
        running.append(server)
        return server

    yield start_one
    for server in running:
        server.close()


@pytest.fixture
def server(start: Callable[..., RunningServer]) -> RunningServer:
    """One with default settings."""
    return start()
