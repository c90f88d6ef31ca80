"""Wyoming over a real socket, with the protocol's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

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
    assert len(audio) == 2 * len(waveform_of("Lights on.", spoken.seed))
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


def test_errors_are_events_and_the_conversation_goes_on(wyoming: RunningServer) -> None:
    events = talk(
        wyoming,
        [
            Synthesize(text="Hi.", voice=SynthesizeVoice(name="nobody")).event(),
            SynthesizeChunk(text="early").event(),
            Describe().event(),
        ],
        lambda event: Info.is_type(event.type),
    )
    errors = [Error.from_event(event) for event in events if Error.is_type(event.type)]
    assert [error.code for error in errors] == ["voice_not_found", "unknown_message"]


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
