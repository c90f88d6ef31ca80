"""A real server on a real port, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from fake_speaker import FakeSpeaker
from waiting import DEADLINE_SECONDS, wait_until

pytest.importorskip("fastapi", reason="needs the extra [server]")

from openbark.server.app import create_app
from openbark.server.run import listen, uvicorn_config
from openbark.server.settings import load_settings
from openbark.server.tracing import Tracing


class ServerWithClock(uvicorn.Server):
    """uvicorn with a clock that can be set forward, on asyncio's own loop, which asks `time` for every timer."""

    def __init__(self, config: uvicorn.Config) -> None:
        config.loop = "asyncio"
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self._own_time, self._ahead = self.loop.time, 0.0
        self.loop.time = lambda: self._own_time() + self._ahead  # type: ignore[method-assign]
        await super().startup(sockets)

    def advance(self, seconds: float) -> None:
        """Set the clock forward: timers that fall due meanwhile go off now."""
        self.loop.call_soon_threadsafe(self._advance, seconds)

    def _advance(self, seconds: float) -> None:
        self._ahead += seconds


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
        self._server = ServerWithClock(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True
        )
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=DEADLINE_SECONDS)
        self._official: list[openai.OpenAI] = []
        self.wait_for(lambda: self._server.started)
        self.parts.watched._clock = self._server.loop.time

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until it holds; fails when it never does."""
        wait_until(condition)

    def advance(self, seconds: float) -> None:
        """Set the clock of the server's event loop forward: timers that fall due meanwhile go off now."""
        self._server.advance(seconds)

    def advance_until(self, condition: Callable[[], object], step: float) -> None:
        """Set the clock forward by `step`, again and again, until the condition holds."""
        wait_until(condition, between=lambda: self.advance(step))

    def ask_and_leave(self, **body: object) -> None:
        """Ask for speech, and close the connection as soon as the speaker has begun."""
        content = json.dumps(body).encode()
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
        n_before = len(self.speaker.started)
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + content)
            self.wait_for(lambda: len(self.speaker.started) > n_before)

    @property
    def connections(self) -> set[Any]:
        """Protocols of the connections that the server holds open."""
        return self._server.server_state.connections

    def is_answering(self) -> bool:
        """Whether the application was called for a request and has not returned."""
        return bool(self._server.server_state.tasks)

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
