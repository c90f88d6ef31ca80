"""What real clients send, word for word, and the official client's own behaviour on errors."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import av
import httpx
import numpy as np
import openai
import pytest
import soundfile
from fake_speaker import RATE, waveform_of
from running_server import RunningServer
from waiting import DEADLINE_SECONDS

from openbark.audio import pcm16

Start = Callable[..., RunningServer]
LONG = {"input": "long " * 100, "response_format": "pcm"}


@pytest.fixture
def client(server: RunningServer) -> openai.OpenAI:
    return server.official_client()


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_openai_creates_every_format(client: openai.OpenAI, format: str) -> None:
    answer = client.audio.speech.create(
        model="tts-1-hd", voice="nova", input="Hello.", response_format=format, speed=1.5
    )
    n_samples = len(waveform_of("Hello.", int(answer.response.headers["x-seed"]))) / 1.5
    if format == "pcm":
        assert len(answer.content) / 2 == pytest.approx(n_samples, abs=2)
        return
    if format == "aac":
        assert answer.response.headers["content-type"] == "audio/aac"
        assert decoded_aac(answer.content).size == pytest.approx(n_samples, abs=3 * 1024)
        return
    with soundfile.SoundFile(io.BytesIO(answer.content)) as file:
        assert file.samplerate == RATE
        assert file.format == {"mp3": "MP3", "opus": "OGG", "flac": "FLAC", "wav": "WAV"}[format]


def decoded_aac(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as file:
        assert file.streams.audio[0].rate == RATE
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


def test_openai_streams(client: openai.OpenAI) -> None:
    pieces = []
    with client.audio.speech.with_streaming_response.create(
        model="bark",
        voice="en_0",
        input="Hello there.",
        response_format="pcm",
        extra_body={"seed": 2},
    ) as answer:
        pieces.extend(answer.iter_bytes())
    assert b"".join(pieces) == pcm16(waveform_of("Hello there.", 2)).astype("<i2").tobytes()


def test_openai_streams_events(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="bark", voice="en_0", input="Hello.", stream_format="sse", response_format="pcm"
    ) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("event:")]
    assert lines[-1] == "event: speech.audio.done" and "event: speech.audio.delta" in lines


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"voice": "nobody"}, openai.BadRequestError),
        ({"input": ""}, openai.BadRequestError),
        ({"speed": 9.0}, openai.BadRequestError),
        ({"model": "gpt-99"}, openai.NotFoundError),
    ],
)
def test_openai_tells_errors_by_class(
    client: openai.OpenAI, fields: dict[str, object], error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        client.audio.speech.create(**{"model": "bark", "voice": "en_0", "input": "Hi.", **fields})
    assert caught.value.body["message"] and caught.value.request_id


def test_openai_comes_back_after_an_overload_by_itself(start: Start) -> None:
    server = start(max_queued=1, hold_after=1)
    admission = server.parts.service.admission

    def hold() -> None:
        with httpx.stream(
            "POST", f"{server.url}/v1/audio/speech", json=LONG, timeout=DEADLINE_SECONDS
        ):
            server.wait_for(lambda: admission.rejected)
            server.speaker.hold_after = None

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        server.wait_for(lambda: admission.in_flight == 1)
        client = server.official_client(max_retries=5)
        answer = client.audio.speech.create(
            model="bark", voice="en_0", input="Hi.", response_format="pcm"
        )
        assert answer.content
        assert admission.rejected >= 1
    finally:
        server.speaker.hold_after = None
        holder.join()


def test_openai_uploads_and_deletes_voices_by_plain_requests(
    start: Start, tmp_path, voice_folder
) -> None:
    server = start(data_directory=tmp_path / "data")
    client = server.official_client()
    made = client.post(
        "/audio/voices",
        cast_to=object,
        body={"name": "theirs", "type": "prompt", "consent": "it is me"},
        files={"audio_sample": ("v.npz", (voice_folder / "en_0.npz").read_bytes())},
        options={"headers": {"Content-Type": "multipart/form-data"}},
    )
    assert made["object"] == "audio.voice"


def test_open_webui_reads_lists_without_a_key_and_speaks(start: Start) -> None:
    server = start(api_key="secret")
    assert {"id"} <= server.client.get("/v1/audio/models").json()["models"][0].keys()
    voices = server.client.get("/v1/audio/voices").json()["voices"]
    assert all({"id", "name"} <= voice.keys() for voice in voices)
    answer = server.client.post(
        "/v1/audio/speech",
        content=b'{"input": "Hello from the chat.", "voice": "alloy", "model": "tts-1"}',
        headers={"Authorization": "Bearer secret", "Content-Type": "application/json"},
    )
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/mpeg"
    assert len(soundfile.read(io.BytesIO(answer.content))[0]) > RATE // 2


def test_sillytavern_speaks_with_no_configuration(server: RunningServer) -> None:
    for voice in ("alloy", "echo", "fable", "onyx", "nova", "shimmer"):
        answer = server.client.post(
            "/v1/audio/speech",
            json={
                "model": "tts-1",
                "input": "Hello.",
                "voice": voice,
                "response_format": "mp3",
                "speed": 1,
            },
            headers={"Authorization": "Bearer"},
        )
        assert answer.status_code == 200
        assert soundfile.info(io.BytesIO(answer.content)).format == "MP3"


def test_keys_that_nobody_knows_are_ignored(server: RunningServer) -> None:
    body = {
        "input": "Hi.",
        "streaming": True,
        "lang_code": "e",
        "volume_multiplier": 1.0,
        "seed": 3,
    }
    answer = server.client.post("/v1/audio/speech", json={**body, "response_format": "pcm"})
    assert answer.status_code == 200
    assert len(answer.content) == 2 * len(waveform_of("Hi.", 3))


def test_speed_keeps_the_length_by_the_samples(server: RunningServer) -> None:
    lengths = {}
    for speed in (0.25, 0.5, 1.0, 2.0, 4.0):
        body = {"input": "x" * 40, "speed": speed, "response_format": "pcm", "seed": 1}
        lengths[speed] = len(server.client.post("/v1/audio/speech", json=body).content) / 2
    whole = lengths[1.0]
    for speed, length in lengths.items():
        assert length == pytest.approx(whole / speed, rel=0.02)


def test_a_deadline_passes_as_an_error_that_is_not_repeated(start: Start) -> None:
    server = start(first_audio_timeout=1000.0, hold_after=0)
    with ThreadPoolExecutor(1) as clients:
        asking = clients.submit(server.client.post, "/v1/audio/speech", json={"input": "Hi."})
        server.wait_for(lambda: server.speaker.running == 1)
        server.advance_until(asking.done, 1001.0)
    answer = asking.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    server.wait_for(lambda: server.speaker.running == 0)


def test_batches_answer_every_line_in_order(server: RunningServer) -> None:
    import base64
    import json

    lines = [
        {"custom_id": "a", "method": "POST", "url": "/v1/audio/speech",
         "body": {"input": "One.", "seed": 1, "response_format": "pcm"}},
        {"custom_id": "b", "body": {"input": "Two.", "voice": "nobody"}},
        {"custom_id": "c", "body": {"input": "Three.", "seed": 2, "response_format": "pcm"}},
    ]  # fmt: skip
    data = "\n".join(json.dumps(line) for line in lines)

    def send(content: str | bytes) -> httpx.Response:
        headers = {"content-type": "application/jsonl"}
        return server.client.post("/v1/audio/speech/batch", content=content, headers=headers)

    answer = send(data)
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["custom_id"] for line in found] == ["a", "b", "c"]
    assert [line["response"]["status_code"] for line in found] == [200, 400, 200]
    assert found[1]["response"]["body"]["error"]["code"] == "voice_not_found"
    audio = base64.b64decode(found[2]["response"]["body"]["audio"])
    np.testing.assert_array_equal(np.frombuffer(audio, "<i2"), pcm16(waveform_of("Three.", 2)))
    twice = send(data + "\n" + json.dumps(lines[0]))
    assert (twice.status_code, twice.json()["error"]["code"]) == (400, "duplicate_id")
    assert send(b"{}").status_code == 400


def test_subtitles_and_plans_belong_to_the_same_request(server: RunningServer) -> None:
    body = {"input": "One. Two."}
    plan = server.client.post("/v1/audio/speech/plan", json=body).json()
    assert [piece["text"] for piece in plan["pieces"]] == ["One", "Two."]
    assert server.client.post("/v1/audio/speech/timings", json=body).status_code == 200
    assert server.client.post("/v1/audio/speech/voice", json=body).status_code == 400


def test_health_tells_the_truth(start: Start) -> None:
    server = start()
    server.wait_for(lambda: server.parts.readiness.ready)
    assert server.client.get("/health/ready").json() == {"status": "ready"}
    server.parts.readiness.broken("the card fell off the bus")
    answer = server.client.get("/health")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (503, "not_ready", "server_error")
    assert "the card fell off the bus" in error["message"] and answer.headers["retry-after"]
    assert server.client.get("/health/live").status_code == 200
    text = server.client.get("/metrics").text
    assert "openbark_ready 0.0" in text and "openbark_in_flight 0.0" in text
