"""Turns: first come first served, as many at once as there are places, none lost by those who leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from running_server import RunningServer
from waiting import DEADLINE_SECONDS, reached

from openbark.server.errors import ApiError
from openbark.server.speaker import SpeakerStats
from openbark.server.turns import Turns, listeners_at_once


def test_places_are_given_in_order_and_follow_their_number() -> None:
    async def run() -> list[str]:
        places = 1
        turns = Turns(lambda: places)
        told: list[str] = []
        goes = {name: asyncio.Event() for name in "abcd"}

        async def visit(name: str) -> None:
            async with turns.turn(10):
                told.append(f"+{name}")
                await goes[name].wait()
                told.append(f"-{name}")

        tasks = [asyncio.ensure_future(visit(name)) for name in "abcd"]
        await asyncio.sleep(0)
        assert (turns.running, turns.waiting) == (1, 3)
        tasks[1].cancel()
        places = 2
        goes["a"].set()
        await reached(lambda: (turns.running, turns.waiting) == (2, 0))
        for go in goes.values():
            go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (turns.running, turns.waiting) == (0, 0)
        return told

    told = asyncio.run(run())
    assert told[:4] == ["+a", "-a", "+c", "+d"]


def test_everybody_knows_their_place_while_it_changes() -> None:
    async def run() -> list[list[int]]:
        turns = Turns(lambda: 1)
        goes = {name: asyncio.Event() for name in "abcd"}
        seen: list[list[int]] = []

        async def visit(name: str) -> None:
            async with turns.turn(10, name):
                await goes[name].wait()

        def look() -> None:
            seen.append([turns.position(name) for name in "abcd"])

        tasks = {name: asyncio.ensure_future(visit(name)) for name in "abcd"}
        await asyncio.sleep(0)
        look()
        tasks["c"].cancel()
        await reached(tasks["c"].done)
        look()
        for name in "abd":
            goes[name].set()
            await reached(tasks[name].done)
            look()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert not turns._who
        return seen

    assert asyncio.run(run()) == [
        [0, 1, 2, 3], [0, 1, 0, 2], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip


def test_a_wait_ends_at_its_deadline_and_leaves_nothing() -> None:
    async def run() -> None:
        turns = Turns(lambda: 1)
        async with turns.turn(1):
            with pytest.raises(ApiError, match="no place"):
                async with turns.turn(0.0):
                    raise AssertionError("there was no place")
        assert (turns.running, turns.waiting) == (0, 0)
        async with turns.turn(10.0):
            assert turns.running == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("speed", "most", "expected"),
    [(None, 16, 16), (0.3, 16, 1), (1.0, 16, 1), (8.0, 16, 2), (100.0, 16, 16)],
)
def test_listeners_are_as_many_as_the_machine_outruns(
    speed: float | None, most: int, expected: int
) -> None:
    assert listeners_at_once(speed, most) == expected


def test_a_slow_machine_speaks_to_one_after_the_other(
    start: Callable[..., RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(hold_after=1)
    slow = SpeakerStats(0, 0, 0.0, speed=1.0)
    monkeypatch.setattr(type(server.speaker), "stats", property(lambda _: slow))
    url = f"{server.url}/v1/audio/speech"
    body = {"input": "long " * 100, "response_format": "pcm"}
    with httpx.stream("POST", url, json=body, timeout=DEADLINE_SECONDS) as answer:
        pieces = answer.iter_raw(100)
        assert next(pieces)
        events = httpx.stream(
            "POST",
            url,
            json={**body, "input": "Hi.", "stream_format": "sse", "progress": True},
            timeout=DEADLINE_SECONDS,
        )
        with events as waiting:
            lines = waiting.iter_lines()
            told = next(line for line in lines if line.startswith("data: "))
            assert '"waiting": 1' in told and server.speaker.running == 1
            assert '"position": 1' in told
