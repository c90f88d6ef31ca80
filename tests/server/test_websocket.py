"""The WebSocket: sentences are spoken as they are whole; errors, silence and leaving end it in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from fake_speaker import waveform_of
from running_server import RunningServer
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from openbark.audio import pcm16
from openbark.server.sentences import whole_sentences

Start = Callable[..., RunningServer]
CONFIG = {"type": "session.config", "voice": "en_0", "seed": 3, "response_format": "pcm"}


def session(server: RunningServer) -> ClientConnection:
    return connect(server.url.replace("http", "ws") + "/v1/audio/speech/stream", proxy=None)


def say(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        socket.send(json.dumps(message))


def heard(socket: ClientConnection) -> tuple[list[dict[str, Any]], bytes]:
    """Events and audio until the session is done or broken."""
    events, audio = [], b""
    for frame in socket:
        if isinstance(frame, bytes):
            audio += frame
        else:
            events.append(json.loads(frame))
    return events, audio


def test_sentences_come_out_in_order_with_their_audio(server: RunningServer) -> None:
    first, second = "This is the first sentence.", "And here is the second one."
    with session(server) as socket:
        say(socket, CONFIG, {"type": "input.text", "text": first + " And here"})
        assert json.loads(socket.recv())["text"] == first
        say(socket, {"type": "input.text", "text": " is the second one."}, {"type": "input.done"})
        events, audio = heard(socket)
    assert [event["type"] for event in events] == [
        "audio.done", "audio.start", "audio.done", "session.done",
    ]  # fmt: skip
    expected = np.concatenate([waveform_of(first, 3), waveform_of(second, 3)])
    assert audio == pcm16(expected).astype("<i2").tobytes()
    assert events[-1]["segments"] == 2


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"type": "nonsense"}], "unknown_message"),
        ([{"type": "input.text", "text": 4}], "input_invalid"),
        ([{**CONFIG, "voice": "nobody"}, {"type": "input.text", "text": "Hi there. Hi."}, {"type": "input.done"}], "voice_not_found"),
        ([{"type": "input.text", "text": "x" * 20_001}], "input_too_long"),
        ([{"type": "input.done"}, {"type": "input.text", "text": "late"}], "session_over"),
    ],
)  # fmt: skip
def test_errors_are_told_and_end_the_session(
    server: RunningServer, messages: list[dict[str, Any]], code: str
) -> None:
    with session(server) as socket:
        # The server may have closed before the last message is sent.
        with suppress(ConnectionClosed):
            say(socket, *messages)
        events: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed):
            while True:
                events.append(json.loads(socket.recv()))
    if code == "session_over" and events[-1]["type"] == "session.done":
        return
    assert events[-1]["error"]["code"] == code


def test_a_silent_client_is_left(start: Start) -> None:
    server = start(idle_timeout=1000.0)
    with session(server) as socket, ThreadPoolExecutor(1) as clients:
        hearing = clients.submit(socket.recv)
        server.advance_until(hearing.done, 1001.0)
        with pytest.raises(ConnectionClosed) as closed:
            hearing.result()
        assert closed.value.rcvd is not None and closed.value.rcvd.reason == "idle"


def test_leaving_frees_the_place(start: Start) -> None:
    server = start(hold_after=1)
    with session(server) as socket:
        say(socket, CONFIG, {"type": "input.text", "text": "long " * 300}, {"type": "input.done"})
        socket.recv()
        socket.recv()
        assert server.speaker.running == 1
    server.wait_for(lambda: server.speaker.running == 0)
    server.wait_for(lambda: server.parts.service.admission.in_flight == 0)


@pytest.mark.parametrize(
    ("text", "sentences", "rest"),
    [
        ("", [], ""),
        ("Half a", [], "Half a"),
        ("It is done. Now", ["It is done."], "Now"),
        ("At 3.14 o'clock Mr. Smith", [], "At 3.14 o'clock Mr. Smith"),
    ],
)
def test_whole_sentences(text: str, sentences: list[str], rest: str) -> None:
    assert whole_sentences(text) == (sentences, rest)
