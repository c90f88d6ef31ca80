"""Whole engines on a backend that computes nothing: random schedules, limits, cancels, faults."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_backend import FRAGILE, POISONED, FakeBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from openbark.engine.cascade import run
from openbark.engine.engine import Engine, EngineStats
from openbark.engine.handle import Handle
from openbark.engine.request import CascadeResult, Request
from openbark.errors import BusyError, CancelledError, ParamError, TextError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.voices.voice import Voice

BACKEND = FakeBackend()


def _request(
    seed: int,
    n_text: int = 5,
    limit: int | None = None,
    temperature: float = 0.7,
    early: bool = True,
    with_voice: bool = False,
) -> Request:
    generator = np.random.default_rng(seed % 100)
    codes = generator.integers(0, 32, (8, 45))
    params = GenerationParams(
        SamplingParams(temperature),
        SamplingParams(temperature),
        SamplingParams(temperature),
        max_semantic_tokens=limit,
        allow_early_stop=early,
    )
    voice = Voice(generator.integers(0, 100, 30), codes[:2], codes) if with_voice else None
    return Request(np.arange(1, 1 + n_text), params.resolve(SUNO_PARAMS), seed, voice)


def _plain(result: CascadeResult) -> tuple[object, ...]:
    return (
        result.semantic.tolist(),
        result.coarse.tolist(),
        result.fine.tolist(),
        result.waveform.tolist(),
        result.stop_reason,
        result.n_text_tokens,
    )


def _alone(request: Request) -> tuple[object, ...]:
    return _plain(run(FakeBackend(), request))


def _idle(stats: EngineStats) -> bool:
    gauges = (stats.queued, stats.running, stats.semantic, stats.coarse, stats.fine, stats.codec)
    return not any(gauges) and stats.queued_seconds == 0


requests = st.builds(
    _request,
    seed=st.one_of(st.integers(0, 40), st.integers(FRAGILE, FRAGILE + 3), st.just(POISONED)),
    n_text=st.integers(0, 17),
    limit=st.one_of(st.none(), st.integers(1, 14)),
    temperature=st.sampled_from([0.0, 0.7]),
    early=st.booleans(),
    with_voice=st.booleans(),
)
events = st.lists(
    st.one_of(requests, st.integers(1, 12), st.tuples(st.just("cancel"), st.integers(0, 9))),
    max_size=12,
)


def _check_end(handle: Handle, cancelled: bool) -> None:
    request = handle.request
    error = handle.exception(0)
    n_text = len(request.text_tokens)
    if isinstance(error, CancelledError):
        assert cancelled
    elif not 0 < n_text <= BACKEND.config.semantic_rules.max_text_tokens:
        assert isinstance(error, TextError)
    elif request.seed >= POISONED:
        assert isinstance(error, MemoryError) and str(request.seed) in str(error)
    elif error is not None:
        assert isinstance(error, TextError) and "before it said anything" in str(error)
        with pytest.raises(TextError):
            _alone(request)
    else:
        assert _plain(handle.result(0)) == _alone(request)


def _play(script: list[Request | int | tuple[str, int]], max_batch: int, shared: bool) -> None:
    backend = FakeBackend(shares_cores=shared)
    engine = Engine(backend, max_batch=max_batch, max_queued=4, max_queued_seconds=20.0)
    handles: list[Handle] = []
    cancelled: set[int] = set()
    n_rejected = 0
    for event in script:
        match event:
            case Request():
                try:
                    handles.append(engine.submit(event))
                except BusyError as error:
                    n_rejected += 1
                    assert error.retry_after is not None and 1 <= error.retry_after <= 120
            case int():
                for _ in range(event):
                    engine.step()
            case (_, index):
                if index < len(handles):
                    handles[index].cancel()
                    cancelled.add(index)
        stats = engine.stats
        assert stats.running <= max_batch and stats.queued <= 4
    engine.close()
    stats = engine.stats
    assert _idle(stats)
    assert stats.rejected == n_rejected
    assert stats.finished + stats.failed + stats.cancelled == len(handles)
    for index, handle in enumerate(handles):
        _check_end(handle, index in cancelled)


@settings(max_examples=150)
@given(events, st.integers(1, 5), st.booleans())
def test_random_schedules(
    script: list[Request | int | tuple[str, int]], max_batch: int, shared: bool
) -> None:
    _play(script, max_batch, shared)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(events, st.integers(1, 5), st.booleans())
def test_ten_thousand_random_schedules(
    script: list[Request | int | tuple[str, int]], max_batch: int, shared: bool
) -> None:
    _play(script, max_batch, shared)


def test_rows_that_draw_in_one_stage_move_together() -> None:
    backend = FakeBackend()
    engine = Engine(backend)
    handles = [engine.submit(_request(seed, limit=12, early=False)) for seed in range(8)]
    engine.close()
    assert max(backend.batches) == 8
    stats = engine.stats
    assert stats.drawn_rows > 3 * stats.turns
    for handle in handles:
        assert _plain(handle.result()) == _alone(handle.request)


class Watched(FakeBackend):
    """A backend that shares its cores, and notes which thread fills each window."""

    def __init__(self) -> None:
        super().__init__(shares_cores=True)
        self.threads: set[int] = set()
        self.filling, self.go_on = threading.Event(), threading.Event()

    def draw_fine(self, *args: Any) -> NDArray[np.int64]:
        self.threads.add(threading.get_ident())
        self.filling.set()
        assert self.go_on.wait(10)
        return super().draw_fine(*args)


def test_windows_are_filled_beside_draws_and_side_by_side() -> None:
    backend = Watched()
    backend.go_on.set()
    engine = Engine(backend)
    handles = [engine.submit(_request(seed, limit=4 + seed, early=False)) for seed in range(9)]
    while engine.step():
        time.sleep(0.001)  # lets the other thread move as well
    for handle in handles:
        assert _plain(handle.result(0)) == _alone(handle.request)
    assert len(backend.threads) == 2


def test_a_row_on_the_side_can_be_cancelled() -> None:
    backend = Watched()
    engine = Engine(backend)
    short = engine.submit(_request(1, limit=2, early=False))
    rest = [engine.submit(_request(seed, limit=40, early=False)) for seed in (2, 3, 4)]
    while not backend.filling.wait(0.02):  # which lets the other thread move as well
        engine.step()
    short.cancel()
    engine.step()
    assert isinstance(short.exception(0), CancelledError)
    backend.go_on.set()
    engine.close()
    assert [_plain(handle.result()) for handle in rest] == [_alone(each.request) for each in rest]
    assert _idle(engine.stats) and engine.stats.cancelled == 1


def test_a_full_queue_refuses_in_requests_and_in_audio_seconds() -> None:
    engine = Engine(FakeBackend(), max_batch=1, max_queued=3)
    for seed in range(3):
        engine.submit(_request(seed))
    with pytest.raises(BusyError, match=r"3 requests .* wait already") as caught:
        engine.submit(_request(3))
    assert caught.value.http_status == 503
    engine.step()
    engine.submit(_request(3))
    # 40 tokens at 49.9 Hz: a request that ignores the end token is 0.8 s.
    engine = Engine(FakeBackend(), max_queued_seconds=1.0)
    engine.submit(_request(0, early=False))
    with pytest.raises(BusyError, match="try again in 1 s"):
        engine.submit(_request(1, early=False))
    assert engine.stats.queued == 1
    assert engine.stats.queued_seconds == pytest.approx(40 / 49.9)


@pytest.mark.parametrize("limits", [{"max_batch": 0}, {"max_queued": 0}, {"max_queued_seconds": 0}])
def test_impossible_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ParamError, match="legal"):
        Engine(FakeBackend(), **limits)  # type: ignore[arg-type]


def test_a_closed_engine_takes_no_more() -> None:
    engine = Engine(FakeBackend())
    handle = engine.submit(_request(1))
    engine.close()
    assert handle.done
    with pytest.raises(BusyError, match="closed") as caught:
        engine.submit(_request(2))
    assert caught.value.retry_after is None


@pytest.mark.parametrize("threaded", [False, True])
def test_closing_without_draining_cancels(threaded: bool) -> None:
    engine = Engine(FakeBackend(), max_batch=1)
    if threaded:
        handles = [engine.submit(_request(seed)) for seed in range(3)]
        engine.close(drain=False)
    else:
        handles = [engine.submit(_request(seed)) for seed in range(3)]
        engine.step()
        engine.close(drain=False)
    for handle in handles:
        with pytest.raises(CancelledError):
            handle.result(5)
    assert _idle(engine.stats)


def test_threads_that_wait_move_the_engine_together() -> None:
    engine = Engine(FakeBackend(), max_batch=4)
    found: dict[int, tuple[object, ...]] = {}

    def speak(seed: int) -> None:
        found[seed] = _plain(engine.run(_request(seed, limit=9, early=False)))

    threads = [threading.Thread(target=speak, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: _alone(_request(seed, limit=9, early=False)) for seed in range(12)}
    assert _idle(engine.stats)


def test_an_engine_with_a_thread_serves_async_code_and_others() -> None:
    async def speak(engine: Engine) -> list[tuple[object, ...]]:
        handles = [engine.submit(_request(seed, early=False)) for seed in range(5)]
        return [_plain(result) for result in await asyncio.gather(*handles)]

    async def stream(engine: Engine) -> list[float]:
        return [
            float(sample)
            async for chunk in engine.astream(_request(3, early=False))
            for sample in chunk
        ]

    with Engine(FakeBackend()) as engine:
        expected = [_alone(_request(seed, early=False)) for seed in range(5)]
        assert asyncio.run(speak(engine)) == expected
        assert asyncio.run(stream(engine)) == expected[3][3]
        chunks = list(engine.stream(_request(4, early=False)))
        assert np.concatenate(chunks).tolist() == expected[4][3]
    assert _idle(engine.stats)


def test_a_cancelled_task_cancels_its_request() -> None:
    blocked = threading.Event()

    class Slow(FakeBackend):
        def codec_decode(self, codes: np.ndarray) -> np.ndarray:
            blocked.wait(10)
            return super().codec_decode(codes)

    async def give_up(engine: Engine) -> Handle:
        handle = engine.submit(_request(1, early=False))
        waiting = asyncio.ensure_future(handle)
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return handle

    with Engine(Slow()) as engine:
        handle = asyncio.run(give_up(engine))
        second = engine.submit(_request(2, early=False))
        second.cancel()
        blocked.set()
        assert isinstance(second.exception(10), CancelledError)
        handle.exception(10)
    assert _idle(engine.stats)


def test_an_engine_that_nobody_uses_any_more_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openbark.engine.engine._IDLE_SECONDS", 0.01)
    engine = Engine(FakeBackend())
    engine.start()
    expected = _alone(_request(3, early=False))
    for _ in range(3):
        assert _plain(engine.submit(_request(3, early=False)).result(10)) == expected
        for thread in threading.enumerate():
            if thread.name == "openbark-engine":
                thread.join(10)
    forgotten = weakref.ref(engine)
    del engine
    gc.collect()
    assert forgotten() is None


def test_leaving_a_stream_early_cancels() -> None:
    engine = Engine(FakeBackend())
    handle = engine.submit(_request(1))
    stream = handle.stream()
    engine.step()
    next(stream)
    stream.close()
    assert handle.flag[0] == 1


def test_results_can_time_out_while_the_request_goes_on() -> None:
    engine = Engine(FakeBackend())
    handle = engine.submit(_request(1, early=False))
    with pytest.raises(TimeoutError):
        handle.result(timeout=0)
    assert _plain(handle.result()) == _alone(_request(1, early=False))


def _raise(*_: object) -> bool:
    raise OSError("the caller's own mistake")


@pytest.mark.parametrize("which", ["cancel", "progress"])
def test_a_call_that_raises_fails_its_own_request(which: str) -> None:
    engine = Engine(FakeBackend())
    good, plain = engine.submit(_request(1, early=False)), _request(2, early=False)
    calls: dict[str, Callable[..., bool]] = {which: _raise}
    bad = engine.submit(Request(plain.text_tokens, plain.params, 2, **calls))  # type: ignore[arg-type]
    engine.close()
    assert isinstance(bad.exception(), OSError)
    assert _plain(good.result()) == _alone(_request(1, early=False))


def test_an_interrupted_step_ends_its_rows_and_leaves_the_engine_usable() -> None:
    class Interrupted(FakeBackend):
        def codec_decode(self, codes: np.ndarray) -> np.ndarray:
            if not self.batches:
                self.batches.append(0)
                raise KeyboardInterrupt
            return super().codec_decode(codes)

    engine = Engine(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        engine.run(_request(1, early=False))
    assert _idle(engine.stats)
    assert _plain(engine.run(_request(1, early=False))) == _alone(_request(1, early=False))


def test_a_backend_that_fails_in_batches_still_serves_every_row_alone() -> None:
    engine = Engine(FakeBackend())
    handles = [engine.submit(_request(seed, early=False)) for seed in (1, FRAGILE, 2, POISONED)]
    engine.close()
    assert isinstance(handles[3].exception(), MemoryError)
    for handle in handles[:3]:
        assert _plain(handle.result()) == _alone(handle.request)


def test_done_callbacks_come_once() -> None:
    engine = Engine(FakeBackend())
    done: list[Handle] = []
    handle = engine.submit(_request(1))
    handle.add_done_callback(done.append)
    engine.close()
    handle.add_done_callback(done.append)
    assert done == [handle, handle]


def test_a_request_may_take_the_place_of_another_that_it_waited_for() -> None:
    """Progress that submits from inside a step must not lock itself out."""
    engine = Engine(FakeBackend(), max_queued=2)
    more: list[Handle] = []

    def follow(handle: Handle) -> None:
        more.append(engine.submit(_request(7, early=False)))

    engine.submit(_request(6, early=False)).add_done_callback(follow)
    while engine.step():
        pass
    assert _plain(more[0].result()) == _alone(_request(7, early=False))


def test_what_continues_goes_ahead_of_what_nobody_hears_yet() -> None:
    engine = Engine(FakeBackend(), max_batch=1)
    order: list[int] = []
    for seed in (1, 2, 3, 4):
        request = replace(_request(seed, early=False), continues=seed in (2, 4))
        engine.submit(request).add_done_callback(lambda done: order.append(done.request.seed))
    engine.close()
    assert order == [2, 4, 1, 3]
