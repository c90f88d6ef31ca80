"""A server from its start to its end: uvicorn, signals, and a shutdown that lets running requests end.

The first SIGTERM or SIGINT: not ready at once, new requests are refused, running ones have
`shutdown_timeout` seconds. Then, or at a second signal, what still runs is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from openbark.errors import ParamError
from openbark.server.app import Parts
from openbark.server.http.connections import keep_queries_out_of_logs, protocol_with_deadlines
from openbark.server.settings import ServerSettings

_log = logging.getLogger("openbark.server")

_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DrainingServer(uvicorn.Server):
    """uvicorn, which stops accepting requests before it exits."""

    def __init__(self, config: uvicorn.Config, parts: Parts, settings: ServerSettings) -> None:
        super().__init__(config)
        self._parts = parts
        self._timeout = settings.shutdown_timeout
        self._draining: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals here; after a clean end the process exits with 0, not with the signal."""
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            signal.signal(number, lambda n, f: loop.call_soon_threadsafe(self.handle_exit, n, f))
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave; a second signal leaves now."""
        if self._draining is not None:
            self.should_exit = True
            self.force_exit = True
            return
        self._parts.drain.leaving = True
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        _log.info("shutting down: %d requests are running", self._parts.n_running)
        while self._parts.n_running and loop.time() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
        if self._parts.n_running:
            _log.warning("%d requests did not end in time and are cancelled", self._parts.n_running)
            await asyncio.to_thread(self._parts.watched.close)
        self.should_exit = True


def listen(settings: ServerSettings) -> socket.socket:
    """The socket to serve on. Raises ParamError when the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        door = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise ParamError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; "
            "end what listens there, or give another --port"
        ) from error
    # Every connection inherits it: what a client does not take is kept by the system only so far.
    door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.max_send_buffer)
    return door


def serve(app: FastAPI, settings: ServerSettings, door: socket.socket) -> None:
    """Serve on `door` until a signal."""
    logging.basicConfig(
        stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO
    )
    keep_queries_out_of_logs("uvicorn.error", "uvicorn.access", "uvicorn.asgi")
    DrainingServer(uvicorn_config(app, settings), app.state.parts, settings).run([door])
    if app.state.parts.watched.abandoned:
        _log.critical("the engine does not end; the process ends without it")
        logging.shutdown()
        # An ordinary end waits for the engine's threads, for ever.
        os._exit(1)


def uvicorn_config(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn is to treat connections."""
    return uvicorn.Config(
        app,
        http=protocol_with_deadlines(settings.header_timeout, settings.slow_reader_timeout),
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=64 << 10,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=int(settings.idle_timeout),
    )
