"""The limiter: short requests between the pieces of long ones, nothing starved, no place lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import httpx
import pytest
from fake_speaker import RATE
from running_server import RunningServer

from openbark.server.speakers.base import SpeakerStats
from openbark.server.speech.limiter import ConcurrencyLimiter, Turn, listeners_at_once


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Machine:
    """Computes pieces when told to, for the requests that have a place."""

    def __init__(self, places: int, capacity: int = 16) -> None:
        self.clock = Clock()
        self.limiter = ConcurrencyLimiter(lambda: places, lambda: capacity, self.clock)
        self.made: list[str] = []
        self._holding: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def speak(self, name: str, n_pieces: int, seconds: float = 20.0) -> None:
        self.tasks[name] = asyncio.ensure_future(self._speak(name, n_pieces, seconds))

    async def _speak(self, name: str, n_pieces: int, seconds: float) -> None:
        with self.limiter.join(name) as turn:
            for _ in range(n_pieces):
                await turn.take()
                self._holding[name] = asyncio.Event()
                await self._holding[name].wait()
                del self._holding[name]
                self.made.append(name)
                turn.give(seconds)

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def make(self, name: str, wall: float = 1.0) -> None:
        """End the piece that a request computes."""
        self.clock.now += wall
        self._holding[name].set()
        await self.settle()

    @property
    def computing(self) -> list[str]:
        return sorted(self._holding)


def run(test: Callable[[], object]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_a_short_request_starts_while_a_long_one_has_every_place() -> None:
    async def test() -> None:
        machine = Machine(1)
        machine.speak("long", 10)
        await machine.settle()
        machine.speak("short", 1)
        await machine.settle()
        assert machine.computing == ["long", "short"]
        # One at a time: a second one waits for the first, or for a piece of the long one.
        machine.speak("other", 1)
        await machine.settle()
        assert machine.computing == ["long", "short"]
        assert machine.limiter.position("other") == 1
        await machine.make("long")
        assert machine.computing == ["other", "short"]

    run(test)


@pytest.mark.parametrize(("places", "capacity"), [(1, 1), (2, 2), (1, 2), (3, 3)])
def test_no_more_are_computed_than_the_model_computes_at_once(places: int, capacity: int) -> None:
    async def test() -> None:
        machine = Machine(places, capacity)
        for number in range(capacity + 2):
            machine.speak(str(number), 2)
        await machine.settle()
        assert (machine.limiter.running, machine.limiter.waiting) == (capacity, 2)
        await machine.make("0")
        # Its listener has audio; the next one has none.
        assert str(capacity) in machine.computing and len(machine.computing) == capacity

    run(test)


@pytest.mark.parametrize("wall", [0.5, 50.0], ids=["fast machine", "slow machine"])
def test_the_next_piece_of_a_long_request_waits_for_those_that_came_before_it(
    wall: float,
) -> None:
    async def test() -> None:
        machine = Machine(1)
        machine.speak("long", 3)
        await machine.settle()
        for name in "abc":
            machine.speak(name, 1)
        await machine.settle()
        await machine.make("long", wall)
        await machine.make("a", wall)
        await machine.make("b", wall)
        await machine.make("c", wall)
        assert machine.computing == ["long"]
        await machine.make("long", wall)
        await machine.make("long", wall)
        assert machine.made == ["long", "a", "b", "c", "long", "long"]

    run(test)


def test_a_stream_of_short_requests_does_not_starve_a_long_one() -> None:
    async def test() -> None:
        machine = Machine(1)
        machine.speak("long", 4)
        await machine.settle()
        await machine.make("long")
        for number in range(40):
            # Two of them at any time, so that one always waits.
            machine.speak(f"short{2 * number}", 1)
            machine.speak(f"short{2 * number + 1}", 1)
            await machine.settle()
            for name in machine.computing:
                await machine.make(name)
        # The long one has 20 s of audio for each piece, and waits for the short ones that came in that time.
        assert machine.made.count("long") == 4

    run(test)


def test_the_listener_who_would_hear_a_gap_first_is_served_first() -> None:
    async def test() -> None:
        places = 0
        limiter = ConcurrencyLimiter(lambda: places, lambda: 16, Clock())
        served: list[float] = []

        async def listen(seconds: float) -> None:
            with limiter.join() as turn:
                await turn.take()
                turn.give(seconds)
                await turn.take()
                served.append(seconds)
                turn.give(seconds)

        tasks = [asyncio.ensure_future(listen(seconds)) for seconds in (100.0, 20.0, 30.0)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert served == []
        places = 1
        limiter.admit()
        await asyncio.gather(*tasks)
        assert served == [20.0, 30.0, 100.0]

    run(test)


def test_requests_that_leave_lose_no_place() -> None:
    async def test() -> None:
        machine = Machine(1)
        for name in "abcd":
            machine.speak(name, 1)
            await machine.settle()
        assert machine.computing == ["a", "b"]
        assert (machine.limiter.running, machine.limiter.waiting) == (2, 2)
        assert [machine.limiter.position(name) for name in "abcd"] == [0, 0, 1, 2]
        machine.tasks["c"].cancel()
        machine.tasks["a"].cancel()
        await machine.settle()
        assert [machine.limiter.position(name) for name in "abcd"] == [0, 0, 0, 0]
        assert machine.limiter.computing == 2
        await machine.make("b")
        await machine.make("d")
        await asyncio.gather(*machine.tasks.values(), return_exceptions=True)
        assert (machine.limiter.running, machine.limiter.waiting) == (0, 0)
        assert machine.limiter.computing == 0

    run(test)


def test_places_follow_their_number() -> None:
    async def test() -> None:
        places = 1
        limiter = ConcurrencyLimiter(lambda: places, lambda: 16)
        turns: list[Turn] = []

        async def visit() -> None:
            with limiter.join() as turn:
                turns.append(turn)
                await turn.take()
                turn.give(20.0)
                await turn.take()
                await asyncio.Event().wait()

        tasks = [asyncio.ensure_future(visit()) for _ in range(4)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert limiter.computing == 1
        places = 3
        limiter.admit()
        assert limiter.computing == 3
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.computing == 0

    run(test)


def test_a_wait_ends_at_its_deadline_and_leaves_nothing() -> None:
    async def test() -> None:
        limiter = ConcurrencyLimiter(lambda: 0, lambda: 16)
        with limiter.join() as first:
            await first.take()
            with limiter.join() as second, pytest.raises(TimeoutError):
                await second.take(0.01)
        assert (limiter.running, limiter.waiting, limiter.computing) == (0, 0, 0)

    run(test)


@pytest.mark.parametrize(
    ("speed", "most", "expected"),
    [(None, 16, 16), (0.3, 16, 1), (1.0, 16, 1), (8.0, 16, 2), (100.0, 16, 16)],
)
def test_listeners_are_as_many_as_the_machine_outruns(
    speed: float | None, most: int, expected: int
) -> None:
    assert listeners_at_once(speed, most) == expected


def slow(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server know its speaker as one that is as fast as one listener."""
    stats = SpeakerStats(0, 0, 0.0, speed=1.0)
    monkeypatch.setattr(type(server.speaker), "stats", property(lambda _: stats))


def test_short_requests_are_heard_while_a_long_one_is_spoken(
    start: Callable[..., RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(gate="long", allowed=1)
    slow(server, monkeypatch)
    url = f"{server.url}/v1/audio/speech"
    text = "a long text " * 300
    body = {"input": text, "response_format": "pcm"}
    with httpx.stream("POST", url, json=body, timeout=60) as answer:
        # It has every place there is, and computes a block that does not come before it is allowed.
        server.wait_for(lambda: server.parts.service.limiter.computing == 1)
        for number in range(20):
            body = {"input": f"Short {number}.", "response_format": "pcm"}
            assert httpx.post(url, json=body, timeout=60).status_code == 200
        assert server.speaker.blocks[text] == 1
        server.speaker.allow(10**6)
        n_bytes = sum(map(len, answer.iter_raw()))
    assert n_bytes == 2 * len(text) * RATE // 20


def test_a_request_knows_its_place_while_it_waits(
    start: Callable[..., RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(gate="long")
    slow(server, monkeypatch)
    url = f"{server.url}/v1/audio/speech"
    body = {"input": "long " * 100, "response_format": "pcm"}
    clients = [
        threading.Thread(target=lambda: httpx.post(url, json=body, timeout=60)) for _ in range(2)
    ]
    for client in clients:
        client.start()
    server.wait_for(lambda: server.parts.service.limiter.computing == 2)
    last = {**body, "stream_format": "sse", "progress": True}
    with httpx.stream("POST", url, json=last, timeout=60) as waiting:
        told = next(line for line in waiting.iter_lines() if line.startswith("data: "))
        assert '"waiting": 1' in told and '"position": 1' in told
        server.speaker.allow(10**6)
    for client in clients:
        client.join(60)
