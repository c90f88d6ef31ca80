"""The WebSocket: sentences are spoken as they are whole; errors, silence and leaving end it in order."""

from __future__ import annotations

import asyncio
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
from openbark.server.speech.sentences import SentenceBuffer, whole_sentences

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


def test_a_sentence_that_cannot_be_read_does_not_end_the_session(server: RunningServer) -> None:
    text = "This is the first one. This one is unspeakable. And here is the third one."
    with session(server) as socket:
        say(socket, CONFIG, {"type": "input.text", "text": text}, {"type": "input.done"})
        events, _ = heard(socket)
    errors = [event for event in events if event["type"] == "error"]
    assert [(each["segment"], each["error"]["code"]) for each in errors] == [(1, "input_invalid")]
    done = [event["segment"] for event in events if event["type"] == "audio.done"]
    assert done == [0, 2] and events[-1] == {"type": "session.done", "segments": 3}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x00\x01", "invalid_message"),
        ("[" * 100_000, "invalid_json"),
        ('{"a":' * 100_000, "invalid_json"),
        ("[]", "invalid_json"),
        ("nonsense", "invalid_json"),
        ('{"type": "\\ud800"}', "unknown_message"),
        ('{"type": ["input.text"]}', "unknown_message"),
        ('{"type": "input.text"}', "input_invalid"),
    ],
    ids=lambda each: repr(each)[:20],
)
def test_malformed_frames_are_told_of(
    server: RunningServer, frame: str | bytes, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with session(server) as socket:
        socket.send(frame)
        assert json.loads(socket.recv(timeout=60))["error"]["code"] == code
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


def test_half_a_character_is_an_error_of_its_sentence(server: RunningServer) -> None:
    with session(server) as socket:
        socket.send('{"type": "input.text", "text": "Hello \\ud800 there. "}')
        say(socket, {"type": "input.text", "text": "Hello you."}, {"type": "input.done"})
        events, _ = heard(socket)
    assert events[0]["error"]["code"] == "input_invalid" and events[0]["segment"] == 0
    assert events[-1]["type"] == "session.done"


def test_a_bug_is_an_event_and_not_a_dropped_connection(server: RunningServer) -> None:
    server.speaker.failure = RuntimeError("a bug")
    with session(server) as socket:
        say(socket, {"type": "input.text", "text": "Hello."}, {"type": "input.done"})
        assert json.loads(socket.recv(timeout=60))["type"] == "audio.start"
        assert json.loads(socket.recv(timeout=60))["error"]["code"] == "internal"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)


def test_much_text_without_a_sentence_is_read_in_linear_time(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counted(text: str) -> tuple[list[str], str]:
        read.append(len(text))
        return whole_sentences(text)

    monkeypatch.setattr("openbark.server.speech.sentences.whole_sentences", counted)
    with session(server) as socket:
        for _ in range(4500):
            socket.send('{"type": "input.text", "text": "aaaa"}')
        # Others are answered meanwhile.
        assert server.client.get("/health/live").status_code == 200
        say(socket, {"type": "session.close"})
    server.wait_for(lambda: not server.parts.service.sessions)
    assert sum(read) < 12 * 18_000


@pytest.mark.parametrize("part", ["aaaa", "Mr. ", "a, ", "... ", "1."])
def test_the_work_for_a_text_in_parts_grows_with_its_length(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    read: list[int] = []

    def counted(text: str) -> tuple[list[str], str]:
        read.append(len(text))
        return whole_sentences(text)

    async def run(n_parts: int) -> int:
        read.clear()
        buffer = SentenceBuffer()
        for _ in range(n_parts):
            await buffer.add(part)
        return sum(read)

    monkeypatch.setattr("openbark.server.speech.sentences.whole_sentences", counted)
    half, whole = asyncio.run(run(2000)), asyncio.run(run(4000))
    assert whole <= 2.8 * half


def test_sentences_come_as_soon_as_they_are_whole() -> None:
    async def run(text: str, size: int) -> list[str]:
        buffer = SentenceBuffer()
        found = []
        for start in range(0, len(text), size):
            found += await buffer.add(text[start : start + size])
        return found + buffer.take_rest()

    text = "This is the first sentence. " + "And a long one with many words " * 20 + "ends. So."
    expected, rest = whole_sentences(text)
    for size in (1, 3, 50, 10**4):
        assert asyncio.run(run(text, size)) == [*expected, rest]
