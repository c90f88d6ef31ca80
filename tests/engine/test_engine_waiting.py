"""Whoever waits for an engine: threads, async code, streams that are left, engines that nobody uses any more."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest
from fake_backend import FakeBackend, alone, fake_request, is_idle, plain
from waiting import DEADLINE_SECONDS, reached

from openbark.engine.engine import Engine
from openbark.engine.handle import Handle
from openbark.errors import CancelledError


def test_threads_that_wait_move_the_engine_together() -> None:
    engine = Engine(FakeBackend(), max_batch=4)
    found: dict[int, tuple[object, ...]] = {}

    def speak(seed: int) -> None:
        found[seed] = plain(engine.run(fake_request(seed, limit=9, early=False)))

    threads = [threading.Thread(target=speak, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: alone(fake_request(seed, limit=9, early=False)) for seed in range(12)}
    assert is_idle(engine.stats)


def test_an_engine_with_a_thread_serves_async_code_and_others() -> None:
    async def speak(engine: Engine) -> list[tuple[object, ...]]:
        handles = [engine.submit(fake_request(seed, early=False)) for seed in range(5)]
        return [plain(result) for result in await asyncio.gather(*handles)]

    async def stream(engine: Engine) -> list[float]:
        return [
            float(sample)
            async for chunk in engine.astream(fake_request(3, early=False))
            for sample in chunk
        ]

    with Engine(FakeBackend()) as engine:
        expected = [alone(fake_request(seed, early=False)) for seed in range(5)]
        assert asyncio.run(speak(engine)) == expected
        assert asyncio.run(stream(engine)) == expected[3][3]
        chunks = list(engine.stream(fake_request(4, early=False)))
        assert np.concatenate(chunks).tolist() == expected[4][3]
    assert is_idle(engine.stats)


def test_a_cancelled_task_cancels_its_request() -> None:
    entered, blocked = threading.Event(), threading.Event()

    class Slow(FakeBackend):
        def codec_decode(self, codes: np.ndarray) -> np.ndarray:
            entered.set()
            assert blocked.wait(DEADLINE_SECONDS)
            return super().codec_decode(codes)

    async def give_up(engine: Engine) -> Handle:
        handle = engine.submit(fake_request(1, early=False))
        waiting = asyncio.ensure_future(handle)
        await reached(entered.is_set, "the codec")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return handle

    with Engine(Slow()) as engine:
        handle = asyncio.run(give_up(engine))
        second = engine.submit(fake_request(2, early=False))
        second.cancel()
        blocked.set()
        assert isinstance(second.exception(10), CancelledError)
        handle.exception(10)
    assert is_idle(engine.stats)


def test_an_engine_that_nobody_uses_any_more_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openbark.engine.engine._IDLE_SECONDS", 0.01)
    engine = Engine(FakeBackend())
    engine.start()
    expected = alone(fake_request(3, early=False))
    for _ in range(3):
        assert plain(engine.submit(fake_request(3, early=False)).result(10)) == expected
        for thread in threading.enumerate():
            if thread.name == "openbark-engine":
                thread.join(10)
    forgotten = weakref.ref(engine)
    del engine
    gc.collect()
    assert forgotten() is None


def test_leaving_a_stream_early_cancels() -> None:
    engine = Engine(FakeBackend())
    handle = engine.submit(fake_request(1))
    stream = handle.stream()
    engine.step()
    next(stream)
    stream.close()
    assert handle.flag[0] == 1


def test_results_can_time_out_while_the_request_goes_on() -> None:
    engine = Engine(FakeBackend())
    handle = engine.submit(fake_request(1, early=False))
    with pytest.raises(TimeoutError):
        handle.result(timeout=0)
    assert plain(handle.result()) == alone(fake_request(1, early=False))
