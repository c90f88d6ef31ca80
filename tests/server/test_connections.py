"""Clients that send or read so slowly that others would wait: over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from running_server import RunningServer, ServerWithClock
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState
from waiting import DEADLINE_SECONDS, reached, wait_until

from openbark.server.http.connections import protocol_with_deadlines

Start = Callable[..., RunningServer]
HEADER = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SPEAK = b'{"input": "Hello.", "response_format": "pcm"}'


@contextmanager
def connected(port: int, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as client:
        client.settimeout(DEADLINE_SECONDS)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", port))
        yield client


def rest_of(client: socket.socket) -> bytes:
    """Everything to the end of the connection, however it ends."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def status_and_code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def until(client: socket.socket, end: bytes) -> bytes:
    """What the server says, up to `end`."""
    found = b""
    while not found.endswith(end) and (part := client.recv(65536)):
        found += part
    return found


def drip_slowly(
    server: RunningServer | ServerWithClock,
    client: socket.socket,
    data: bytes,
    begun: Callable[[], object],
) -> tuple[int, str]:
    """Status and code of the answer to seven bytes, one every 150 seconds of the server's clock, and no more.
    begun: holds once the deadline runs, which is so after the first byte."""
    client.sendall(data[:1])
    wait_until(begun, "a deadline")
    for index in range(1, 7):
        server.advance(150.0)
        client.sendall(data[index : index + 1])
    server.advance(150.0)
    return status_and_code(rest_of(client))


def header_deadline(connections: set[object]) -> Callable[[], bool]:
    """Whether the only connection waits for a header."""
    return lambda: [each._header is not None for each in connections] == [True]


def test_a_header_that_comes_byte_by_byte_is_not_waited_for(start: Start) -> None:
    server = start(header_timeout=1000.0)
    with connected(server.port) as client:
        begun = header_deadline(server.connections)
        assert drip_slowly(server, client, HEADER, begun) == (408, "header_timeout")
    assert server.client.get("/health/ready").status_code == 200


def test_a_connection_that_says_nothing_is_closed(start: Start) -> None:
    server = start(header_timeout=1000.0)
    with connected(server.port) as client:
        server.wait_for(lambda: len(server.connections) == 1)
        server.advance(1001.0)
        assert rest_of(client) == b""


def test_the_second_header_of_a_connection_has_its_deadline_too(start: Start) -> None:
    server = start(header_timeout=1000.0, idle_timeout=1e6)
    with connected(server.port) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"alive" in until(client, b"}")
        server.advance(1001.0)  # between two requests there is none
        begun = header_deadline(server.connections)
        assert drip_slowly(server, client, b"GET /health", begun) == (408, "header_timeout")


def test_a_request_may_take_longer_than_its_header(start: Start) -> None:
    server = start(header_timeout=100.0, total_timeout=1e6, hold_after=1)
    body = {"input": "x" * 20, "response_format": "pcm"}
    with server.client.stream("POST", "/v1/audio/speech", json=body) as answer:
        pieces = answer.iter_bytes()
        first = next(pieces)
        server.advance(101.0)
        server.speaker.hold_after = None
        assert len(first + b"".join(pieces)) == 48_000


def test_a_websocket_may_take_longer_than_its_header(start: Start) -> None:
    from websockets.sync.client import connect

    server = start(header_timeout=100.0, idle_timeout=1e6)
    with connect(f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream") as websocket:
        server.advance(101.0)
        websocket.send('{"type": "input.done"}')
        assert json.loads(websocket.recv(timeout=DEADLINE_SECONDS))["type"] == "session.done"


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(start: Start) -> None:
    server = start(body_timeout=1000.0)
    with connected(server.port) as client:
        client.sendall(HEADER + b"Content-Length: 100\r\nConnection: close\r\n\r\n")
        begun = server.is_answering
        assert drip_slowly(server, client, b"{" + b" " * 98, begun) == (408, "body_timeout")
    assert server.parts.service.admission.in_flight == 0


def test_bytes_after_the_answer_do_not_keep_a_connection(start: Start) -> None:
    server = start(header_timeout=1000.0, max_body_bytes=1024, max_input_chars=1000)
    with connected(server.port) as client:
        client.sendall(HEADER + b"Content-Length: 5000\r\n\r\n")
        assert b"too_large" in until(client, b"}}")
        with suppress(ConnectionError):  # it may be closed at once
            client.sendall(b"x" * 100)
        server.advance_until(lambda: not server.connections, 1001.0)


def test_a_reader_that_sleeps_frees_its_place(start: Start) -> None:
    server = start(slow_reader_timeout=1000.0, total_timeout=1e9, max_send_buffer=4096)
    body = b'{"input": "%s", "response_format": "pcm"}' % (b"long " * 500)
    with connected(server.port, 4096) as client:
        client.sendall(HEADER + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert client.recv(10)
        server.wait_for(lambda: server.speaker.running == 1)
        server.advance_until(lambda: server.speaker.running == 0, 1001.0)
        server.wait_for(lambda: server.parts.service.admission.in_flight == 0)
        assert not rest_of(client).endswith(b"0\r\n\r\n")


def test_a_reader_that_sleeps_does_not_keep_a_whole_answer(start: Start) -> None:
    server = start(slow_reader_timeout=1000.0, total_timeout=1e9, max_send_buffer=4096)
    body = b'{"input": "%s", "response_format": "wav", "stream": false}' % (b"long " * 500)
    with connected(server.port, 4096) as client:
        client.sendall(HEADER + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert client.recv(10)
        server.advance_until(lambda: not server.connections, 1001.0)
        assert len(rest_of(client)) < 5_000_000


def test_a_reader_that_is_slow_and_reads_gets_all(start: Start) -> None:
    server = start(max_send_buffer=32 << 10)
    body = b'{"input": "%s", "response_format": "pcm"}' % (b"x" * 200)
    with connected(server.port, 32 << 10) as client:
        client.sendall(
            HEADER + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        )
        data = b""
        while part := client.recv(32 << 10):
            data += part
    assert data.endswith(b"0\r\n\r\n") and len(data) > 480_000


def test_the_other_parser_of_uvicorn_has_the_same_deadlines() -> None:
    async def app(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(500):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    protocol = protocol_with_deadlines(1000.0, 1000.0, H11Protocol)
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, access_log=False)
    server = ServerWithClock(config)
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=server.run, args=([door],))
        thread.start()
        try:
            port = door.getsockname()[1]
            wait_until(lambda: server.started)
            with connected(port) as client:
                begun = header_deadline(server.server_state.connections)
                assert drip_slowly(server, client, HEADER, begun) == (408, "header_timeout")
            with connected(port, 4096) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(10)
                connections = server.server_state.connections
                wait_until(lambda: not connections, between=lambda: server.advance(1001.0))
                assert not rest_of(client).endswith(b"0\r\n\r\n")
        finally:
            server.should_exit = True
            thread.join()


def flood(client: socket.socket, part: bytes, n_bytes: int) -> bytes:
    """Send the same part again and again until the server closes; what it answers."""
    n_sent = 0
    try:
        while n_sent < n_bytes:
            client.sendall(part)
            n_sent += len(part)
    except ConnectionError:
        pass
    else:
        raise AssertionError(f"the server took {n_sent} bytes")
    return rest_of(client)


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n" * 500),
        (b"GET /health/live HTTP/1.1\r\nX-A: ", b"b" * 4000),
        (b"GET /", b"b" * 4000),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n", b"X-A: b\r\n" * 500),
        (HEADER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X-A: b\r\n" * 500),
        (HEADER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: ", b"b" * 4000),
        (HEADER + b"Transfer-Encoding: chunked\r\n\r\n2;a=", b"b" * 4000),
    ],
    ids=["lines", "value", "url", "host", "trailers", "trailer", "extension"],
)
def test_a_header_without_end_is_refused(server: RunningServer, head: bytes, part: bytes) -> None:
    with connected(server.port) as client:
        client.sendall(head)
        answer = flood(client, part, 32 << 20)
    if answer:  # it is lost where the client was still sending
        assert status_and_code(answer) in ((431, "header_too_large"), (400, "invalid_http"))
    assert server.client.get("/health/live").status_code == 200


@pytest.mark.parametrize("n_bytes", [60_000, 70_000])
def test_the_largest_header(server: RunningServer, n_bytes: int) -> None:
    with connected(server.port) as client:
        client.sendall(
            b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-A: "
            + b"b" * n_bytes
        )
        if n_bytes < 65_536:
            client.sendall(b"\r\n\r\n")
            assert b"alive" in rest_of(client)
        else:
            assert status_and_code(rest_of(client)) == (431, "header_too_large")


def test_a_large_body_in_small_chunks_is_no_header(server: RunningServer) -> None:
    body = b'{"input": "Hello.", "response_format": "pcm"' + b" " * 30_000 + b"}"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    with connected(server.port) as client:
        client.sendall(HEADER + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(chunks + b"0\r\n\r\n")
        assert rest_of(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\x00", b"NONSENSE\r\n\r\n"])
def test_what_is_not_http_is_an_error_of_the_usual_shape(
    server: RunningServer, data: bytes
) -> None:
    with connected(server.port) as client:
        client.sendall(data)
        assert status_and_code(rest_of(client)) == (400, "invalid_http")


def test_a_closed_connection_is_freed_without_the_collector() -> None:
    freed: list[bool] = []

    async def app(scope, receive, send) -> None:
        """Never called."""

    class Watched(HttpToolsProtocol):
        def __del__(self) -> None:
            freed.append(True)

    async def run() -> None:
        kind = protocol_with_deadlines(10, 10, Watched)
        config = uvicorn.Config(app, lifespan="off", log_config=None)
        state = ServerState()
        loop = asyncio.get_running_loop()
        door = await loop.create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX-A: b")
        writer.close()
        await writer.wait_closed()
        await reached(lambda: freed and not state.connections, "the connection was freed")
        door.close()

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()
    assert freed
