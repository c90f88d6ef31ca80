"""Clients that send or read so slowly that others would wait: over real sockets (R6)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from running_server import RunningServer
from uvicorn.protocols.http.h11_impl import H11Protocol

from openbark.server.connections import protocol_with_deadlines

Start = Callable[..., RunningServer]
HEADER = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SPEAK = b'{"input": "Hello.", "response_format": "pcm"}'


@contextmanager
def connected(port: int, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as client:
        client.settimeout(15)
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


def drip(client: socket.socket, data: bytes, seconds: float) -> bytes:
    """Send a byte at a time until the server has had enough; what it says."""
    try:
        for index in range(len(data)):
            client.sendall(data[index : index + 1])
            time.sleep(seconds)
    except ConnectionError:
        pass
    return rest_of(client)


def test_a_header_that_comes_byte_by_byte_is_not_waited_for(start: Start) -> None:
    server = start(header_timeout=0.3)
    with connected(server.port) as client:
        assert status_and_code(drip(client, HEADER[:40], 0.05)) == (408, "header_timeout")
    assert server.client.get("/health/ready").status_code == 200


def test_a_connection_that_says_nothing_is_closed(start: Start) -> None:
    server = start(header_timeout=0.2)
    with connected(server.port) as client:
        assert rest_of(client) == b""


def test_the_second_header_of_a_connection_has_its_deadline_too(start: Start) -> None:
    server = start(header_timeout=0.5)
    with connected(server.port) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"alive" in client.recv(4096)
        time.sleep(0.7)  # between two requests there is none
        assert status_and_code(drip(client, b"GET /health", 0.06)) == (408, "header_timeout")


def test_a_request_may_take_longer_than_its_header(start: Start) -> None:
    server = start(header_timeout=0.8, delay=0.1)
    body = {"input": "x" * 20, "response_format": "pcm"}
    assert len(server.client.post("/v1/audio/speech", json=body).content) == 48_000


def test_a_websocket_may_take_longer_than_its_header(start: Start) -> None:
    from websockets.sync.client import connect

    server = start(header_timeout=0.8)
    with connect(f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream") as websocket:
        time.sleep(1.0)
        websocket.send('{"type": "input.done"}')
        assert json.loads(websocket.recv(timeout=5))["type"] == "session.done"


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(start: Start) -> None:
    server = start(body_timeout=0.3)
    with connected(server.port) as client:
        client.sendall(HEADER + b"Content-Length: 100\r\nConnection: close\r\n\r\n")
        assert status_and_code(drip(client, b"{" + b" " * 98, 0.05)) == (408, "body_timeout")
    assert server.parts.service.admission.in_flight == 0


def test_bytes_after_the_answer_do_not_keep_a_connection(start: Start) -> None:
    server = start(header_timeout=0.3, max_body_bytes=1024)
    with connected(server.port) as client:
        client.sendall(HEADER + b"Content-Length: 5000\r\n\r\n")
        assert b"too_large" in client.recv(4096)
        began = time.monotonic()
        drip(client, b"x" * 5000, 0.02)
        assert time.monotonic() - began < 10


def test_a_reader_that_sleeps_frees_its_place(start: Start) -> None:
    server = start(slow_reader_timeout=0.3, max_send_buffer=4096)
    body = b'{"input": "%s", "response_format": "pcm"}' % (b"long " * 500)
    with connected(server.port, 4096) as client:
        client.sendall(HEADER + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert client.recv(10)
        server.wait_for(lambda: server.speaker.running == 1)
        server.wait_for(lambda: server.speaker.running == 0)
        server.wait_for(lambda: server.parts.service.admission.in_flight == 0)
        assert not rest_of(client).endswith(b"0\r\n\r\n")


def test_a_reader_that_sleeps_does_not_keep_a_whole_answer(start: Start) -> None:
    server = start(slow_reader_timeout=0.3, max_send_buffer=4096)
    body = b'{"input": "%s", "response_format": "wav", "stream": false}' % (b"long " * 500)
    with connected(server.port, 4096) as client:
        client.sendall(HEADER + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        began = time.monotonic()
        assert client.recv(10)
        time.sleep(1.0)
        n_bytes = len(rest_of(client))
        assert n_bytes < 5_000_000 and time.monotonic() - began < 10


def test_a_reader_that_is_slow_and_reads_gets_all(start: Start) -> None:
    server = start(slow_reader_timeout=0.4, max_send_buffer=32 << 10)
    body = b'{"input": "%s", "response_format": "pcm"}' % (b"x" * 200)
    with connected(server.port, 32 << 10) as client:
        client.sendall(
            HEADER + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        )
        data = b""
        while part := client.recv(32 << 10):
            data += part
            time.sleep(0.05)
    assert data.endswith(b"0\r\n\r\n") and len(data) > 480_000


def test_the_other_parser_of_uvicorn_has_the_same_deadlines() -> None:
    async def app(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(500):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    protocol = protocol_with_deadlines(0.2, 0.2, H11Protocol)
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=server.run, args=([door],))
        thread.start()
        try:
            port = door.getsockname()[1]
            with connected(port) as client:
                assert status_and_code(drip(client, HEADER[:40], 0.05)) == (408, "header_timeout")
            with connected(port, 4096) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                time.sleep(1.0)
                assert not rest_of(client).endswith(b"0\r\n\r\n")
        finally:
            server.should_exit = True
            thread.join(20)
