"""A real server on a real port, in a thread of the test's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
import openai
import pytest
import uvicorn
from fake_speaker import FakeSpeaker

pytest.importorskip("fastapi", reason="needs the extra [server]")

from openbark.server.app import create_app
from openbark.server.run import listen, uvicorn_config
from openbark.server.settings import load_settings
from openbark.server.tracing import Tracing


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
        self._official: list[openai.OpenAI] = []
        self.wait_for(lambda: self._server.started)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until it holds; fails when it does not."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the condition never held")
            time.sleep(0.005)

    def official_client(self, **options: object) -> openai.OpenAI:
        """OpenAI's own client of this server; it is closed with the server."""
        given = {"api_key": "any", "max_retries": 0, **options}
        client = openai.OpenAI(base_url=f"{self.url}/v1", **given)  # type: ignore[arg-type]
        self._official.append(client)
        return client

    def close(self) -> None:
        for client in (self.client, *self._official):
            client.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
