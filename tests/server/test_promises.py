"""Promises to clients that no other file keeps an eye on: sizes, retries, deadlines, counts, ids."""

from __future__ import annotations

import io
import logging
import threading
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import openai
import pytest
import soundfile
from fake_speaker import RATE, waveform_of
from running_server import RunningServer
from waiting import DEADLINE_SECONDS

from openbark.audio import open_encoder, pcm16
from openbark.errors import BusyError, OpenBarkError

Start = Callable[..., RunningServer]
TEXT = "A sentence to speak."
LONG = {"input": "long " * 200, "response_format": "pcm"}


def ask(server: RunningServer, **fields: object) -> httpx.Response:
    body = {"input": TEXT, "seed": 1, "response_format": "wav", **fields}
    return server.client.post("/v1/audio/speech", json=body)


def test_a_whole_wav_tells_its_true_size(server: RunningServer) -> None:
    data = ask(server, stream=False).content
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (RATE, 2, 1)
        frames = file.readframes(file.getnframes())
    np.testing.assert_array_equal(np.frombuffer(frames, "<i2"), pcm16(waveform_of(TEXT, 1)))
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


# An MP3 that was streamed has some samples of the encoder's delay more: its first frame cannot say how many.
@pytest.mark.parametrize("format", ["opus", "flac", "wav", "pcm"])
def test_streamed_or_not_it_is_the_same_sound(server: RunningServer, format: str) -> None:
    def heard(**how: object) -> np.ndarray:
        data = ask(server, response_format=format, **how).content
        if format == "pcm":
            return np.frombuffer(data, "<i2")
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            file.seekable = lambda: False  # a streamed FLAC does not know how long it is
            return file.read(10**7, dtype="int16")

    streamed, whole = heard(stream=True), heard(stream=False)
    assert len(streamed) == len(whole) >= len(waveform_of(TEXT, 1))
    np.testing.assert_array_equal(streamed, whole)


def test_audio_is_never_compressed_on_the_way(server: RunningServer) -> None:
    answer = server.client.post(
        "/v1/audio/speech", json={"input": TEXT}, headers={"Accept-Encoding": "gzip, deflate, br"}
    )
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "audio/mpeg"


def test_what_is_not_used_is_said(server: RunningServer) -> None:
    answer = ask(server, instructions="Whisper it.")
    assert answer.status_code == 200 and "instructions" in answer.headers["x-openbark-warning"]


def speak(client: openai.OpenAI) -> object:
    return client.audio.speech.create(model="bark", voice="en_0", input=TEXT)


def test_openai_s_client_knows_the_server_s_errors_by_class(start: Start) -> None:
    server = start(first_audio_timeout=1000.0)
    client = server.official_client()
    server.speaker.failure = RuntimeError("a bug")
    with pytest.raises(openai.InternalServerError) as caught:
        speak(client)
    assert (caught.value.status_code, caught.value.code) == (500, "internal")
    server.speaker.failure = BusyError("full", 3.0)
    with pytest.raises(openai.InternalServerError) as caught:
        speak(client)
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
    assert caught.value.response.headers["retry-after"] == "3"
    server.speaker.failure = None
    server.speaker.hold_after = 0
    with ThreadPoolExecutor(1) as clients:
        asking = clients.submit(speak, server.official_client(max_retries=2))
        server.wait_for(lambda: server.speaker.running == 1)
        server.advance_until(asking.done, 1001.0)
    with pytest.raises(openai.InternalServerError) as caught:
        asking.result()
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")
    # Asked once: the same request would be as late again.
    assert len([each for each in server.speaker.started if each.text == TEXT]) == 3


def test_openai_s_client_knows_its_own_limits_by_class(start: Start) -> None:
    server = start(api_key="secret", streams_per_key=1, hold_after=1)
    client = server.official_client(api_key="secret")
    headers = {"Authorization": "Bearer secret"}
    url = f"{server.url}/v1/audio/speech"
    with (
        httpx.stream("POST", url, json=LONG, headers=headers, timeout=DEADLINE_SECONDS),
        pytest.raises(openai.RateLimitError) as caught,
    ):
        speak(client)
    assert caught.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.PermissionDeniedError):
        client.post("/audio/voice_consents", cast_to=object, **consent())
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("none")


def consent() -> dict[str, object]:
    return {
        "body": {"name": "me", "language": "en"},
        "files": {"recording": ("r.wav", b"RIFF")},
        "options": {"headers": {"Content-Type": "multipart/form-data"}},
    }


@pytest.mark.parametrize("stream", [True, False])
def test_the_whole_of_an_answer_has_a_deadline(start: Start, stream: bool) -> None:
    server = start(total_timeout=1000.0, hold_after=1)
    if stream:
        with server.client.stream("POST", "/v1/audio/speech", json=LONG) as answer:
            pieces = answer.iter_bytes()
            assert answer.status_code == 200 and next(pieces)
            server.advance(1001.0)
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
    else:
        with ThreadPoolExecutor(1) as clients:
            asking = clients.submit(ask, server, **LONG, stream=False)
            server.wait_for(lambda: server.speaker.running == 1)
            server.advance_until(asking.done, 1001.0)
        answer = asking.result()
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    server.wait_for(lambda: server.parts.service.admission.in_flight == 0)
    server.wait_for(lambda: server.speaker.running == 0)


def test_audio_that_waits_is_bounded_in_seconds_too(start: Start) -> None:
    server = start(
        hold_after=1, max_queued_seconds=60.0, max_request_seconds=60.0, max_input_chars=900
    )
    url = f"{server.url}/v1/audio/speech"
    long = {**LONG, "input": "long " * 150}
    with httpx.stream("POST", url, json=long, timeout=DEADLINE_SECONDS):
        server.wait_for(lambda: server.parts.service.admission.in_flight == 1)
        server.speaker.hold_after = 4
        assert httpx.post(url, json={"input": "short"}, timeout=DEADLINE_SECONDS).status_code == 200
        refused = httpx.post(url, json=long, timeout=DEADLINE_SECONDS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    # Nothing was read of a text that was refused.
    assert len(server.speaker.started) == 3


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"input": ' + b"[" * 90_000]
)
def test_json_as_deep_as_it_gets_is_no_bug_of_ours(server: RunningServer, body: bytes) -> None:
    answer = server.client.post(
        "/v1/audio/speech", content=body, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_every_end_of_a_request_is_counted(start: Start) -> None:
    server = start(max_queued=1)

    def counts() -> dict[str, float]:
        lines = server.client.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith("openbark_requests_total{")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in found}

    ask(server)
    ask(server, input="unspeakable")
    server.speaker.failure = OpenBarkError("broken")
    ask(server)
    server.speaker.failure = None
    server.speaker.hold_after = 1
    with server.client.stream("POST", "/v1/audio/speech", json=LONG):
        httpx.post(f"{server.url}/v1/audio/speech", json=LONG, timeout=DEADLINE_SECONDS)
    expected = {"ok": 1.0, "invalid": 1.0, "failed": 1.0, "rejected": 1.0, "cancelled": 1.0}
    server.wait_for(lambda: counts() == expected)


def test_a_bug_is_in_the_log_under_the_id_that_the_client_has(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "openbark.server")
    server = start()
    server.speaker.failure = RuntimeError("a bug")
    answer = ask(server)
    request_id = answer.headers["x-request-id"]
    assert request_id in answer.json()["error"]["message"]
    assert "a bug" not in answer.text
    assert any(request_id in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("stream", [True, False])
def test_encoders_work_off_the_event_loop(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    seen: set[int] = set()

    def watched(*arguments: object, **options: object) -> object:
        encoder = open_encoder(*arguments, **options)
        write = encoder.write
        encoder.write = lambda block: (seen.add(threading.get_ident()), write(block))[1]
        return encoder

    monkeypatch.setattr("openbark.server.speech.serving.open_encoder", watched)
    assert ask(server, response_format="mp3", stream=stream).status_code == 200
    assert seen and server._thread.ident not in seen
