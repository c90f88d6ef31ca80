"""Wyoming over a real socket, with the protocol's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from fake_speaker import RATE, waveform_of
from running_server import RunningServer

pytest.importorskip("wyoming", reason="needs the extra [wyoming]")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from openbark.errors import BusyError, DeadlineError, OpenBarkError
from openbark.server.speech.voice_book import voice_language

Start = Callable[..., RunningServer]
VOICE = SynthesizeVoice(name="en_0")


def talk(server: RunningServer, events: list[Event], until: Callable[[Event], bool]) -> list[Event]:
    """Send events, and read until one that is awaited."""

    async def run() -> list[Event]:
        async with AsyncTcpClient("127.0.0.1", server.parts.wyoming_port) as client:
            for event in events:
                await client.write_event(event)
            found: list[Event] = []
            while (event := await asyncio.wait_for(client.read_event(), 10)) is not None:
                found.append(event)
                if until(event):
                    break
            return found

    return asyncio.run(run())


@pytest.fixture
def wyoming(start: Start) -> RunningServer:
    return start(wyoming_port=0)


def test_it_describes_its_voices(wyoming: RunningServer) -> None:
    (event,) = talk(wyoming, [Describe().event()], lambda event: True)
    program = Info.from_event(event).tts[0]
    assert program.supports_synthesize_streaming
    assert {"en_0", "alloy"} <= {voice.name for voice in program.voices}
    assert program.voices[0].languages == ["en"]


def test_a_text_becomes_sound(wyoming: RunningServer) -> None:
    events = talk(
        wyoming,
        [Synthesize(text="Lights on.", voice=VOICE).event()],
        lambda event: AudioStop.is_type(event.type),
    )
    assert AudioStart.from_event(events[0]).rate == RATE
    audio = b"".join(AudioChunk.from_event(event).audio for event in events[1:-1])
    spoken = wyoming.speaker.started[-1]
    assert len(audio) == 2 * len(waveform_of("Lights on.", spoken.options.seed))
    assert np.abs(np.frombuffer(audio, "<i2")).max() > 1000


def test_a_stream_of_text_is_spoken_sentence_by_sentence(wyoming: RunningServer) -> None:
    events = talk(
        wyoming,
        [
            SynthesizeStart(voice=VOICE).event(),
            SynthesizeChunk(text="The first sentence is here. And the").event(),
            SynthesizeChunk(text=" second one too.").event(),
            Synthesize(text="The first sentence is here. And the second one too.").event(),
            SynthesizeStop().event(),
        ],
        lambda event: SynthesizeStopped.is_type(event.type),
    )
    assert sum(AudioStop.is_type(event.type) for event in events) == 2
    said = [utterance.text for utterance in wyoming.speaker.started[-2:]]
    assert said == ["The first sentence is here.", "And the second one too."]


async def hear_as_home_assistant(
    port: int, events: list[Event], ends: Callable[[str], bool]
) -> tuple[bytes, list[Event]]:
    """The loop of Home Assistant: read until the audio or the connection ends, whatever else comes."""
    audio, others = b"", []
    async with AsyncTcpClient("127.0.0.1", port) as client:
        with suppress(ConnectionError):
            for event in events:
                await client.write_event(event)
        while (event := await client.read_event()) is not None:
            if AudioChunk.is_type(event.type):
                audio += AudioChunk.from_event(event).audio
            elif not AudioStart.is_type(event.type):
                others.append(event)
            if ends(event.type):
                break
    return audio, others


def whole(text: str, voice: str = "en_0", text_format: str | None = None) -> list[Event]:
    return [
        Synthesize(text=text, voice=SynthesizeVoice(name=voice), text_format=text_format).event()
    ]


def streamed(text: str, voice: str = "en_0", text_format: str | None = None) -> list[Event]:
    return [
        SynthesizeStart(voice=SynthesizeVoice(name=voice), text_format=text_format).event(),
        SynthesizeChunk(text=text).event(),
        *whole(text, voice),
        SynthesizeStop().event(),
    ]


@pytest.mark.parametrize("send", [whole, streamed])
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"text": "unspeakable. "}, "input_invalid"),
        ({"text": "Hi. There.", "voice": "nobody"}, "voice_not_found"),
        ({"text": "Hi. There.", "text_format": "markdown"}, "text_format_unsupported"),
        ({"text": "<speak>Hi", "text_format": "ssml"}, "input_invalid"),
        ({"text": "x" * 20_001}, "input_too_long"),
    ],
    ids=lambda given: str(given)[:30],
)
def test_home_assistant_is_not_left_waiting_after_an_error(
    wyoming: RunningServer, send: Callable[..., list[Event]], given: dict[str, str], code: str
) -> None:
    ends = SynthesizeStopped.is_type if send is streamed else AudioStop.is_type
    port = wyoming.parts.wyoming_port
    _, events = asyncio.run(asyncio.wait_for(hear_as_home_assistant(port, send(**given), ends), 60))
    errors = [Error.from_event(event) for event in events if Error.is_type(event.type)]
    assert [error.code for error in errors] == [code]


@pytest.mark.parametrize("send", [whole, streamed])
@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (OpenBarkError("broken"), "server_fault"),
        (RuntimeError("a bug"), "internal"),
        (MemoryError(), "out_of_memory"),
        (BusyError("full", 3.0), "overloaded"),
        (DeadlineError("late"), "deadline_exceeded"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else each,
)
@pytest.mark.parametrize("n_blocks", [0, 2])
def test_home_assistant_is_not_left_waiting_when_the_server_fails(
    wyoming: RunningServer,
    send: Callable[..., list[Event]],
    failure: Exception,
    code: str,
    n_blocks: int,
) -> None:
    wyoming.speaker.failure, wyoming.speaker.fail_after = failure, n_blocks
    ends = SynthesizeStopped.is_type if send is streamed else AudioStop.is_type
    port = wyoming.parts.wyoming_port
    events = send("A sentence that lasts for some blocks. And more.")
    audio, others = asyncio.run(asyncio.wait_for(hear_as_home_assistant(port, events, ends), 60))
    assert len(audio) == 2 * 2400 * n_blocks
    assert [Error.from_event(each).code for each in others] == [code]


def test_an_empty_text_is_an_error_and_an_empty_stream_is_not(wyoming: RunningServer) -> None:
    port = wyoming.parts.wyoming_port
    _, events = asyncio.run(
        asyncio.wait_for(hear_as_home_assistant(port, whole(""), AudioStop.is_type), 60)
    )
    assert [Error.from_event(event).code for event in events] == ["input_empty"]
    nothing = [SynthesizeStart(voice=VOICE).event(), SynthesizeStop().event()]
    events = talk(wyoming, nothing, lambda event: True)
    assert [event.type for event in events] == [SynthesizeStopped().event().type]


def test_a_chunk_without_a_start_is_an_error(wyoming: RunningServer) -> None:
    events = talk(wyoming, [SynthesizeChunk(text="early").event()], lambda event: False)
    assert [Error.from_event(event).code for event in events] == ["unknown_message"]


@pytest.mark.parametrize("send", [whole, streamed])
def test_ssml_is_read_as_ssml(wyoming: RunningServer, send: Callable[..., list[Event]]) -> None:
    ends = SynthesizeStopped.is_type if send is streamed else AudioStop.is_type
    talk(
        wyoming,
        send("<speak>Hello. You.</speak>", text_format="ssml"),
        lambda event: ends(event.type),
    )
    assert [(each.options.script.format, each.text) for each in wyoming.speaker.started[1:]] == [
        ("ssml", "<speak>Hello. You.</speak>")
    ]


def test_a_voice_can_be_asked_for_by_its_language(wyoming: RunningServer) -> None:
    def ask(language: str) -> list[Event]:
        wanted = Synthesize(text="Hello.", voice=SynthesizeVoice(language=language))
        return talk(
            wyoming,
            [wanted.event()],
            lambda event: AudioStop.is_type(event.type) or Error.is_type(event.type),
        )

    assert AudioStop.is_type(ask("en-US")[-1].type)
    assert wyoming.speaker.started[-1].options.voice.name == "en_0"
    assert Error.from_event(ask("de")[-1]).code == "language_unsupported"


def test_the_language_of_a_voice_is_not_guessed_from_its_name() -> None:
    assert voice_language("my_voice") is None
    assert voice_language("en_0") == "en" and voice_language("v2/de_speaker_3") == "de"
    assert voice_language("to_1") is None and voice_language("it_is_me") is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"type": "synthesize", "data": [1, 2]}\n',
        b'{"type": "synthesize", "data": "text"}\n',
        b'{"type": "synthesize", "data": {}}\n',
        b'{"type": "synthesize", "data": {"text": 5}}\n',
        b'{"type": "synthesize", "data": {"text": "Hi", "voice": "x"}}\n',
        b'{"type": "synthesize", "data": {"text": "Hi", "voice": {"name": [1]}}}\n',
        b'{"type": "synthesize-start", "data": {"voice": 5}}\n',
        b'{"type": "synthesize", "data": {"text": "\\ud800"}}\n',
        b'{"type": "synthesize", "data": {"text": "Hi.", "voice": {"name": "\\ud800"}}}\n',
        b'{"type": ["describe"]}\n',
        b"[" * 60_000 + b"\n",
        b'{"type": "describe", "data_length": "5"}\n',
    ],
)
def test_malformed_events_end_in_order_and_nothing_is_logged_as_a_bug(
    wyoming: RunningServer, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", wyoming.parts.wyoming_port)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer

    answer = asyncio.run(run())
    assert not answer or b'"error"' in answer
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
    assert talk(wyoming, [Describe().event()], lambda event: True)


@pytest.mark.parametrize(
    "data", [b"\n", b"{}\n", b"nonsense\n", b'{"type": 3, "data_length": -5}\n']
)
def test_what_is_no_event_ends_only_that_conversation(wyoming: RunningServer, data: bytes) -> None:
    async def run() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", wyoming.parts.wyoming_port)
        writer.write(data)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 10)
        writer.close()

    asyncio.run(run())
    assert talk(wyoming, [Describe().event()], lambda event: True)


@pytest.mark.parametrize(
    "data",
    [
        b'{"type": "describe", "payload_length": 1000000000000}\n' + bytes(100),
        b'{"type": "describe", "data_length": 50}\n{',
        b'{"type": "descr',
    ],
    ids=["large", "half", "header"],
)
def test_an_event_that_does_not_end_is_not_waited_for(start: Start, data: bytes) -> None:
    server = start(wyoming_port=0, body_timeout=0.3, total_timeout=0.6)

    async def run() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.parts.wyoming_port)
        writer.write(data)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()

    asyncio.run(run())
