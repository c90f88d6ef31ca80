"""Fields of a speech request as clients write them: null, OpenAI's names, numbers without end, words for numbers."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from running_server import RunningServer

Start = Callable[..., RunningServer]


def ask(server: RunningServer, **fields: object) -> httpx.Response:
    body = {"input": "Hello.", "response_format": "pcm", **fields}
    return server.client.post("/v1/audio/speech", json=body)


def test_null_is_as_good_as_absent(server: RunningServer) -> None:
    names = [
        "model", "voice", "response_format", "stream_format", "stream", "speed", "instructions",
        "seed", "language", "split", "policy", "latency", "script", "speakers", "progress",
    ]  # fmt: skip
    for name in names:
        assert ask(server, **{name: None}).status_code == 200, name
    missing = ask(server, input=None)
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, "input_empty")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("gpt-4o-mini-tts-2025-12-15", 200),
        ("tts-1-1106", 200),
        ("tts-1-hd-1106", 200),
        ("", 200),
        ("bark", 200),
        ("gpt-4o", 404),
        ("tts-2", 404),
        ("tts-1-x", 404),
    ],
)
def test_openai_s_names_mean_the_loaded_model(
    server: RunningServer, name: str, status: int
) -> None:
    assert ask(server, model=name).status_code == status
    if name:
        assert server.client.get(f"/v1/models/{name}").status_code == status


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"speed": "fast"}, "parameter_invalid", ("speed is 'fast'", "a number")),
        ({"speed": 9}, "speed_out_of_range", ("speed is 9", "up to 4")),
        ({"response_format": "midi"}, "format_unsupported", ("mp3",)),
        ({"response_format": 3}, "format_unsupported", ("mp3",)),
        ({"max_seconds": 1e308}, "parameter_invalid", ("up to 600",)),
        ({"max_seconds": "1e999"}, "parameter_invalid", ("max_seconds",)),
        ({"top_k": 10**30}, "parameter_invalid", ("top_k", "up to 100000")),
        ({"temperature": 1e300}, "parameter_invalid", ("up to 10",)),
        ({"best_of": 17}, "parameter_invalid", ("up to 16",)),
        ({"seed": 2**64}, "parameter_invalid", ("less than",)),
        ({"seed": -1}, "parameter_invalid", ("from 0",)),
        ({"voice": 5}, "voice_invalid", ("a name",)),
        ({"voice": {"name": "x"}}, "voice_invalid", ("a name",)),
        ({"input": 5}, "input_invalid", ("a text",)),
        ({"stream": "perhaps"}, "parameter_invalid", ("true or false",)),
        ({"speakers": {"A": 5}}, "parameter_invalid", ("speakers.A", "a text")),
        ({"language": "tlh"}, "language_unsupported", ("en", "language")),
        ({"language": "de"}, "language_unsupported", ("speak en",)),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_is_wrong_is_said_in_words(
    server: RunningServer, fields: dict[str, object], code: str, words: tuple[str, ...]
) -> None:
    answer = ask(server, **fields)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["code"] == code, error
    assert error["param"] == next(iter(fields))
    for word in words:
        assert word in error["message"]
    assert "Input should" not in error["message"] and "0x" not in error["message"]


def test_half_a_character_is_refused(server: RunningServer) -> None:
    answer = server.client.post(
        "/v1/audio/speech",
        content=b'{"input": "Hello \\ud800"}',
        headers={"content-type": "application/json"},
    )
    assert answer.json()["error"]["code"] == "input_invalid"


def test_a_language_chooses_the_voice_and_the_rules(server: RunningServer) -> None:
    assert ask(server, language="en-US").status_code == 200
    spoken = server.speaker.started[-1].options
    assert (spoken.voice.name, spoken.long_form.language) == ("en_0", "en")
    assert ask(server, language="de", voice="en_1").status_code == 200
    spoken = server.speaker.started[-1].options
    assert (spoken.voice.name, spoken.long_form.language) == ("en_1", "de")
    assert ask(server, language="").status_code == 200
    assert server.speaker.started[-1].options.long_form.language is None


def test_a_request_longer_than_the_server_takes_makes_nothing(server: RunningServer) -> None:
    cue = "1\n20:00:00,000 --> 20:00:01,000\nHi there\n"
    before = len(server.speaker.started)
    for path in ("", "/plan", "/timings"):
        body = {"input": cue, "script": "srt"}
        answer = server.client.post(f"/v1/audio/speech{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "input_too_long")
    assert len(server.speaker.started) == before


@pytest.mark.parametrize(
    ("woman", "man"), [("nova", "onyx"), ("shimmer", "echo"), ("coral", "ash"), ("sage", "cedar")]
)
def test_women_s_names_have_a_woman_s_voice(woman: str, man: str) -> None:
    from openbark.server.speech.voice_book import read_voice_map

    names = read_voice_map()
    # en_0 is the embedded model's woman, en_speaker_9 Suno's.
    assert set(names[woman]) == {"en_0", "v2/en_speaker_9"}
    assert not set(names[man]) & {"en_0", "v2/en_speaker_9"}
