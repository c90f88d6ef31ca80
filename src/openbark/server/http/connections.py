"""Limits below HTTP, which uvicorn does not have: a client that does not send its header in time, sends one
without end, or does not take its answer, loses its connection. Knows no routes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from openbark.server.errors import ApiError, invalid, timed_out

_LEAST_BYTES = 16 << 10
_MAX_HEADER_BYTES = 64 << 10
_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = object


def protocol_with_deadlines(
    header_seconds: float,
    reader_seconds: float,
    base: type[asyncio.Protocol] = AutoHTTPProtocol,
) -> type[asyncio.Protocol]:
    """A protocol for uvicorn: `base`, one of its own, with two deadlines and a limit on header bytes.

    A header of more than 64 KiB is answered with 431; the lines around the pieces of a body, and those after it
    (trailers), have the same limit. What is not HTTP is a 400 in the shape of every other error.
    header_seconds: from the first byte of a request (of a connection: from its opening) to the last of its
    header; then 408 and the end. reader_seconds: in which a client takes some of the bytes that wait for it.
    """
    deadlines = {"header_seconds": header_seconds, "reader_seconds": reader_seconds}
    return type("ProtocolWithDeadlines", (_Deadlines, base), deadlines)


def keep_queries_out_of_logs(*loggers: str) -> None:
    """Take the query out of the addresses that these loggers write: it may hold a key or a text."""
    for name in loggers:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _WithoutQueries) for each in logger.filters):
            logger.addFilter(_WithoutQueries())


class _WithoutQueries(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record is changed."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                each.partition("?")[0] if isinstance(each, str) else each for each in record.args
            )
        return True


class _Deadlines(_Base):  # type: ignore[misc]
    """The limits, added to a protocol of uvicorn through its `app`, `loop`, `transport` and callbacks."""

    header_seconds: ClassVar[float]
    reader_seconds: ClassVar[float]

    def __init__(
        self,
        config: Config,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._inner: ASGIApp = self.app
        self.app: ASGIApp = self._answer
        self._header: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._n_running = 0
        self._has_bytes = False
        # Bytes since the last whole header or piece of a body. The parser `h11` has a limit of its own.
        self._n_pending = 0
        self._counts = hasattr(super(), "on_headers_complete")

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        # Paused as soon as the system's own buffer is full.
        transport.set_write_buffer_limits(0)
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        if self._n_running == 0 and self._header is None:
            self._wait_for_header()
        self._has_bytes = True
        if self._counts:
            self._n_pending += len(data)
        super().data_received(data)
        if self.transport.get_protocol() is not self:
            # The connection became a WebSocket, which is served by another protocol.
            self._stop_waiting()
        elif self._n_pending > _MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(_header_too_large())

    def on_headers_complete(self) -> None:
        """Called by the parser at the end of a header."""
        self._n_pending = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Called by the parser with each piece of a body."""
        self._n_pending = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for bytes that are not HTTP."""
        message = "the request is not valid HTTP/1.1; check the client or the proxy in front"
        self._refuse(invalid("invalid_http", message))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching()
        # Without this the connection refers to itself, and its memory is not freed when it closes.
        self.app = self._inner
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        self._stop_watching()
        super().resume_writing()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, which is called when a header is whole."""
        self._stop_waiting()
        self._n_running += 1
        try:
            await self._inner(scope, receive, send)
        finally:
            self._n_running -= 1
            self._has_bytes = False

    def _wait_for_header(self) -> None:
        self._header = self.loop.call_later(self.header_seconds, self._no_header)

    def _stop_waiting(self) -> None:
        if self._header is not None:
            self._header.cancel()
            self._header = None

    def _no_header(self) -> None:
        if self._has_bytes:
            message = f"the header did not come within {self.header_seconds:g} s"
            self._refuse(timed_out("header_timeout", message, 408))
        else:
            self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Answer without the application, where no answer is on its way, and close the connection."""
        if self._n_running == 0 or not getattr(self.cycle, "response_started", True):
            self.transport.write(_answer_bytes(error))
        self.transport.close()

    def _watch_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._reader = self.loop.call_later(self.reader_seconds, self._look_at_reader, left)

    def _stop_watching(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _look_at_reader(self, left_before: int) -> None:
        if left_before - self.transport.get_write_buffer_size() < _LEAST_BYTES:
            self.transport.abort()
        else:
            self._watch_reader()


def _header_too_large() -> ApiError:
    message = f"the header has more than {_MAX_HEADER_BYTES} bytes, the server's limit; send less"
    return invalid("header_too_large", message, status=431)


def _answer_bytes(error: ApiError) -> bytes:
    body = json.dumps(error.body).encode()
    lines = (
        f"HTTP/1.1 {error.status} {_REASONS[error.status]}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in error.headers.items()),
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
