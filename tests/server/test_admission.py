"""Admission: limits that do not contradict each other, seconds given back as they are made, waits that are spread."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from openbark.errors import ParamError
from openbark.server.errors import ApiError
from openbark.server.settings import ServerSettings, load_settings
from openbark.server.speech.admission import Admission
from openbark.server.speech.estimate import estimate_request
from openbark.server.speech.preparation import check_estimate
from openbark.server.speech.protocol import SpeechRequest


def test_a_long_request_does_not_lock_out_short_ones() -> None:
    admission = Admission(max_requests=10, max_seconds=1000.0, per_key=100)
    with ExitStack() as stack:
        stack.enter_context(admission.ticket("", 990.0))
        for _ in range(9):
            stack.enter_context(admission.ticket("", 100.0))
        with pytest.raises(ApiError, match="10 requests"):
            stack.enter_context(admission.ticket("", 1.0))
    assert (admission.in_flight, admission.seconds) == (0, 0.0)


def test_what_has_been_made_is_given_back() -> None:
    admission = Admission(max_requests=10, max_seconds=1000.0, per_key=100)
    with admission.ticket("", 900.0) as first:
        with pytest.raises(ApiError):
            admission.ticket("", 500.0).__enter__()
        first.made(400.0)
        with admission.ticket("", 500.0):
            assert admission.seconds == 1000.0
        first.made(10_000.0)
        assert admission.seconds == 0.0


def test_one_that_waits_for_room_is_told_when_there_is_some() -> None:
    async def test() -> None:
        admission = Admission(max_requests=2, max_seconds=100.0, per_key=1)
        first, second = admission.ticket("a", 60.0), admission.ticket("b", 30.0)
        held = first.__enter__()
        second.__enter__()
        admitted: list[str] = []

        async def wait(owner: str, seconds: float) -> None:
            await admission.wait_for_room(owner, seconds)
            with admission.ticket(owner, seconds):
                admitted.append(owner)
                await asyncio.sleep(0)

        async def settle() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        waiting = [asyncio.ensure_future(wait(owner, 60.0)) for owner in ("a", "c", "d")]
        await settle()
        assert admitted == []
        second.__exit__(None, None, None)
        await settle()
        assert admitted == [], "there is a place, and too much audio"
        held.made(30.0)
        await settle()
        assert admitted == ["c", "d"], (
            "one after the other; the key of the first has its request still"
        )
        first.__exit__(None, None, None)
        await asyncio.gather(*waiting)
        assert admitted == ["c", "d", "a"]
        assert (admission.rejected, admission.in_flight) == (0, 0)

    asyncio.run(test())


def test_a_start_that_would_come_too_late_is_refused_at_once() -> None:
    rate: list[float | None] = [None]
    admission = Admission(100, 10_000.0, 100, max_wait=30.0, measured_rate=lambda: rate[0])
    with ExitStack() as stack:
        tickets = [stack.enter_context(admission.ticket("", 100.0)) for _ in range(5)]
        rate[0] = 1.0
        with pytest.raises(ApiError, match="queue_timeout") as caught:
            admission.check_room("")
        assert caught.value.status == 503
        for ticket in tickets[:3]:
            ticket.begin()
        admission.check_room("")


def test_several_models_have_several_times_the_room() -> None:
    scale = [1.0]
    admission = Admission(2, 100.0, 100, scale=lambda: scale[0])
    with admission.ticket("", 90.0), admission.ticket("", 40.0):
        with pytest.raises(ApiError, match="limits 2 and 100"):
            admission.check_room("")
        scale[0] = 3.0
        with admission.ticket("", 160.0), pytest.raises(ApiError, match="limits 6 and 300"):
            admission.ticket("", 60.0).__enter__()


@pytest.mark.parametrize("seconds", [1.0, 50.0, 10_000.0])
def test_clients_that_are_refused_together_do_not_come_back_together(seconds: float) -> None:
    admission = Admission(1, 10.0**6, 100, measured_rate=lambda: 1.0)
    waits = set()
    with admission.ticket("", 2 * seconds):
        for _ in range(200):
            with pytest.raises(ApiError) as caught:
                admission.check_room("")
            waits.add(int(caught.value.headers["Retry-After"]))
    assert all(1 <= wait <= 120 for wait in waits)
    assert len(waits) >= (2 if seconds < 2 else 20)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"max_queued_seconds": 600.0}, "max_queued_seconds"),
        ({"max_request_seconds": 600.0}, "max_request_seconds"),
        ({"max_input_chars": 1_000_000}, "max_request_seconds"),
        ({"max_body_bytes": 2048}, "max_body_bytes"),
    ],
)
def test_limits_that_contradict_each_other_are_refused_at_the_start(
    given: dict[str, float], name: str
) -> None:
    with pytest.raises(ParamError, match=f"{name} is .* raise {name}"):
        load_settings(None, given)


def request(text: str, **fields: object) -> SpeechRequest:
    return SpeechRequest.model_validate({"input": text, **fields})


def cue(start: str, end: str) -> str:
    return f"1\n{start},000 --> {end},000\nHi there\n"


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        (request(cue("05:00:00", "05:00:01"), script="srt"), 18_000),
        (request(cue("23:59:58", "23:59:59"), script="srt"), 86_398),
        (
            request(
                "<speak>Hi." + '<break time="60s"/>' * 900 + "Ho.</speak>", script="ssml"
            ),
            54_000,
        ),
        (request("Hi. " + "[pause:60s] Hi. " * 1000, script="text"), 60_000),
        (request("A. " * 5000, sentence_pause=10.0), 50_000),
        (request("A\n\n" * 5000, paragraph_pause=10.0), 50_000),
        (request("word " * 3999, speed=0.25), 4 * 3999 * 4 * 0.065),
        (request("word " * 3999, best_of=16), 16 * 3999 * 4 * 0.065),
        (
            request('<speak><prosody rate="50%">' + "word " * 3000 + "</prosody></speak>",
                    script="ssml"),
            2 * 3000 * 4 * 0.065,
        ),
    ],
    ids=["cue", "late cue", "breaks", "pauses", "sentences", "paragraphs", "speed", "best_of",
         "rate"],
)  # fmt: skip
def test_every_second_of_a_request_is_counted(asked: SpeechRequest, least: float) -> None:
    estimate = estimate_request(asked)
    assert estimate.held >= 0.99 * least
    if least > 1800:
        with pytest.raises(ApiError, match="lasts about") as caught:
            check_estimate(estimate, ServerSettings(), None)
        assert (caught.value.status, caught.value.code) == (400, "input_too_long")


def test_the_longest_text_is_admitted() -> None:
    text = ("This is one of the many sentences of a chapter. " * 500)[:20_000]
    check_estimate(estimate_request(request(text)), ServerSettings(), 0.01)


def test_what_cannot_be_made_in_its_time_is_refused_at_the_start() -> None:
    settings = ServerSettings(total_timeout=60.0)
    estimate = estimate_request(request("word " * 2000))
    check_estimate(estimate, settings, None)
    check_estimate(estimate, settings, 20.0)
    with pytest.raises(ApiError, match="would need about"):
        check_estimate(estimate, settings, 1.0)
