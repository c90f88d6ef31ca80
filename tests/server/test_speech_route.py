"""`/v1/audio/speech` over real sockets: formats, streams, errors, seeds, clients that leave."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable

import httpx
import numpy as np
import openai
import pytest
import soundfile
from fake_speaker import RATE, waveform_of
from running_server import RunningServer
from waiting import DEADLINE_SECONDS

from openbark.audio import pcm16
from openbark.errors import OpenBarkError
from openbark.server.speech import preparation

Start = Callable[..., RunningServer]
TEXT = "A sentence to speak."


class _Sequential(soundfile.SoundFile):
    def seekable(self) -> bool:
        return False


def decoded(data: bytes) -> np.ndarray:
    """Samples of a file read from front to back, since a streamed FLAC does not say how many there are."""
    with _Sequential(io.BytesIO(data)) as file:
        assert file.samplerate == RATE
        return file.read(10**7, dtype="int16")


def ask(server: RunningServer, **fields: object) -> httpx.Response:
    body = {"input": TEXT, "voice": "en_0", "seed": 1, **fields}
    return server.client.post("/v1/audio/speech", json=body)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("format", ["wav", "flac"])
def test_lossless_formats_hold_the_samples(
    server: RunningServer, format: str, stream: bool
) -> None:
    answer = ask(server, response_format=format, stream=stream)
    assert answer.status_code == 200
    np.testing.assert_array_equal(decoded(answer.content), pcm16(waveform_of(TEXT, 1)))


def test_pcm_is_the_bare_samples_and_says_its_rate(server: RunningServer) -> None:
    answer = ask(server, response_format="pcm")
    assert answer.headers["content-type"] == "audio/pcm;rate=24000;channels=1"
    assert answer.content == pcm16(waveform_of(TEXT, 1)).astype("<i2").tobytes()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("format", ["mp3", "opus"])
def test_lossy_formats_last_as_long(server: RunningServer, format: str, stream: bool) -> None:
    answer = ask(server, response_format=format, stream=stream)
    samples, _ = soundfile.read(io.BytesIO(answer.content))
    assert len(samples) == pytest.approx(len(waveform_of(TEXT, 1)), abs=RATE // 10)


def test_events_carry_the_file_and_end_with_the_usage(server: RunningServer) -> None:
    answer = ask(server, response_format="wav", stream_format="sse")
    events = [
        json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")
    ]
    assert [event["type"] for event in events[-2:]] == ["speech.audio.delta", "speech.audio.done"]
    assert events[-1]["usage"]["input_tokens"] == len(TEXT)
    data = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    np.testing.assert_array_equal(decoded(data), pcm16(waveform_of(TEXT, 1)))


def test_a_failure_on_the_way_breaks_the_stream(start: Start) -> None:
    server = start(failure=OpenBarkError("broken"), fail_after=3)
    with pytest.raises(httpx.RemoteProtocolError):
        ask(server, response_format="pcm")
    events = ask(server, response_format="pcm", stream_format="sse").text
    assert "speech.audio.error" in events and "speech.audio.done" not in events
    assert server.speaker.running == 0 and server.parts.service.admission.in_flight == 0


def test_a_failure_before_the_first_audio_is_an_error_answer(start: Start) -> None:
    answer = ask(start(failure=OpenBarkError("broken")))
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "broken"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": "  "}, "input_empty", "input"),
        ({"input": "x" * 30_000}, "input_too_long", "input"),
        ({"input": 7}, "input_invalid", "input"),
        ({"voice": "nobody"}, "voice_not_found", "voice"),
        ({"voice": "../../etc/passwd"}, "voice_not_found", "voice"),
        ({"speed": 9}, "speed_out_of_range", "speed"),
        ({"response_format": "wma"}, "format_unsupported", "response_format"),
        ({"input": "unspeakable"}, "input_invalid", "input"),
        ({"temperature": "hot"}, "parameter_invalid", "temperature"),
        ({"latency": "low", "retries": 1}, "parameter_invalid", "retries"),
        ({"latency": "low", "best_of": 2}, "parameter_invalid", "best_of"),
    ],
)
def test_errors_name_the_field(
    server: RunningServer, fields: dict[str, object], code: str, param: str
) -> None:
    answer = ask(server, **fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == "invalid_request_error"


def test_aac_without_its_encoder_names_the_extra(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "has_aac", lambda: False)
    answer = ask(server, response_format="aac")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "format_unsupported")
    assert "openbark[av]" in answer.json()["error"]["message"]


def test_a_body_that_is_no_json_is_said_to_be_none(server: RunningServer) -> None:
    answer = server.client.post(
        "/v1/audio/speech", content=b"{", headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


def test_unknown_models_and_urls_are_not_found(server: RunningServer) -> None:
    assert ask(server, model="gpt-99").json()["error"]["code"] == "model_not_found"
    assert server.client.get("/nothing").json()["error"]["code"] == "unknown_url"
    assert server.client.get("/v1/audio/speech").status_code == 405


def test_the_official_client_speaks(server: RunningServer) -> None:
    client = server.official_client()
    answer = client.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="wav", extra_body={"seed": 1}
    )
    np.testing.assert_array_equal(decoded(answer.content), pcm16(waveform_of(TEXT, 1)))
    assert "fake" in [model.id for model in client.models.list()]
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)
    assert caught.value.request_id and caught.value.code == "voice_not_found"


def test_a_client_that_leaves_frees_its_place(start: Start) -> None:
    server = start(hold_after=1)
    body = {"input": "long " * 200, "response_format": "pcm"}
    with server.client.stream("POST", "/v1/audio/speech", json=body) as answer:
        pieces = answer.iter_bytes(1000)
        assert next(pieces)
        assert server.speaker.running == 1
    server.wait_for(lambda: server.speaker.running == 0)
    server.wait_for(lambda: server.parts.service.admission.in_flight == 0)


def test_overload_is_said_with_the_time_to_come_back(start: Start) -> None:
    server = start(hold_after=1, max_queued=1)
    body = {"input": "long " * 100, "response_format": "pcm"}
    with server.client.stream("POST", "/v1/audio/speech", json=body):
        other = httpx.post(
            f"{server.url}/v1/audio/speech", json={"input": TEXT}, timeout=DEADLINE_SECONDS
        )
    assert other.status_code == 503
    assert other.json()["error"]["code"] == "overloaded"
    assert 1 <= int(other.headers["retry-after"]) <= 120


def test_a_client_that_leaves_before_a_whole_answer_is_no_failure_of_the_server(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(hold_after=1)
    body = {"input": "long " * 200, "response_format": "pcm", "stream": False}
    server.ask_and_leave(**body)
    server.wait_for(lambda: server.speaker.running == 0)
    server.wait_for(lambda: server.parts.service.admission.in_flight == 0)
    assert "failed" not in caplog.text
