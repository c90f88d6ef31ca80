"""Whole engines on a backend that computes nothing: random schedules, limits, cancels, faults."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_backend import (
    FRAGILE,
    POISONED,
    FakeBackend,
    alone,
    fake_request,
    is_idle,
    plain,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from waiting import wait_until

from openbark.engine.engine import Engine
from openbark.engine.handle import Handle
from openbark.engine.request import Request
from openbark.errors import BusyError, CancelledError, ParamError, TextError

BACKEND = FakeBackend()


requests = st.builds(
    fake_request,
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
            alone(request)
    else:
        assert plain(handle.result(0)) == alone(request)


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
                    handles.append(engine.submit(replace(event, begins=event.seed % 3 == 0)))
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
    assert is_idle(stats)
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
    handles = [engine.submit(fake_request(seed, limit=12, early=False)) for seed in range(8)]
    engine.close()
    assert max(backend.batches) == 8
    stats = engine.stats
    assert stats.drawn_rows > 3 * stats.turns
    for handle in handles:
        assert plain(handle.result()) == alone(handle.request)


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
    handles = [engine.submit(fake_request(seed, limit=4 + seed, early=False)) for seed in range(9)]
    wait_until(lambda: not engine.step())
    for handle in handles:
        assert plain(handle.result(0)) == alone(handle.request)
    assert len(backend.threads) == 2


def test_a_row_on_the_side_can_be_cancelled() -> None:
    backend = Watched()
    engine = Engine(backend)
    short = engine.submit(fake_request(1, limit=2, early=False))
    rest = [engine.submit(fake_request(seed, limit=40, early=False)) for seed in (2, 3, 4)]
    while not backend.filling.wait(0.02):  # which lets the other thread move as well
        engine.step()
    short.cancel()
    engine.step()
    assert isinstance(short.exception(0), CancelledError)
    backend.go_on.set()
    engine.close()
    assert [plain(handle.result()) for handle in rest] == [alone(each.request) for each in rest]
    assert is_idle(engine.stats) and engine.stats.cancelled == 1


def test_a_full_queue_refuses_in_requests_and_in_audio_seconds() -> None:
    engine = Engine(FakeBackend(), max_batch=1, max_queued=3)
    for seed in range(3):
        engine.submit(fake_request(seed))
    with pytest.raises(BusyError, match=r"3 requests .* wait already") as caught:
        engine.submit(fake_request(3))
    assert caught.value.http_status == 503
    engine.step()
    engine.submit(fake_request(3))
    # 40 tokens at 49.9 Hz: a request that ignores the end token is 0.8 s.
    engine = Engine(FakeBackend(), max_queued_seconds=1.0)
    engine.submit(fake_request(0, early=False))
    with pytest.raises(BusyError, match="try again in 1 s"):
        engine.submit(fake_request(1, early=False))
    assert engine.stats.queued == 1
    assert engine.stats.queued_seconds == pytest.approx(40 / 49.9)


@pytest.mark.parametrize("limits", [{"max_batch": 0}, {"max_queued": 0}, {"max_queued_seconds": 0}])
def test_impossible_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ParamError, match="allowed"):
        Engine(FakeBackend(), **limits)  # type: ignore[arg-type]


def test_a_closed_engine_takes_no_more() -> None:
    engine = Engine(FakeBackend())
    handle = engine.submit(fake_request(1))
    engine.close()
    assert handle.done
    with pytest.raises(BusyError, match="closed") as caught:
        engine.submit(fake_request(2))
    assert caught.value.retry_after is None


@pytest.mark.parametrize("threaded", [False, True])
def test_closing_without_draining_cancels(threaded: bool) -> None:
    engine = Engine(FakeBackend(), max_batch=1)
    if threaded:
        handles = [engine.submit(fake_request(seed)) for seed in range(3)]
        engine.close(drain=False)
    else:
        handles = [engine.submit(fake_request(seed)) for seed in range(3)]
        engine.step()
        engine.close(drain=False)
    for handle in handles:
        with pytest.raises(CancelledError):
            handle.result(5)
    assert is_idle(engine.stats)


def _raise(*_: object) -> bool:
    raise OSError("the caller's own mistake")


@pytest.mark.parametrize("which", ["cancel", "progress"])
def test_a_call_that_raises_fails_its_own_request(which: str) -> None:
    engine = Engine(FakeBackend())
    good, other = engine.submit(fake_request(1, early=False)), fake_request(2, early=False)
    calls: dict[str, Callable[..., bool]] = {which: _raise}
    bad = engine.submit(Request(other.text_tokens, other.params, 2, **calls))  # type: ignore[arg-type]
    engine.close()
    assert isinstance(bad.exception(), OSError)
    assert plain(good.result()) == alone(fake_request(1, early=False))


def test_an_interrupted_step_ends_its_rows_and_leaves_the_engine_usable() -> None:
    class Interrupted(FakeBackend):
        def codec_decode(self, codes: np.ndarray) -> np.ndarray:
            if not self.batches:
                self.batches.append(0)
                raise KeyboardInterrupt
            return super().codec_decode(codes)

    engine = Engine(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        engine.run(fake_request(1, early=False))
    assert is_idle(engine.stats)
    assert plain(engine.run(fake_request(1, early=False))) == alone(fake_request(1, early=False))


def test_a_backend_that_fails_in_batches_still_serves_every_row_alone() -> None:
    engine = Engine(FakeBackend())
    handles = [engine.submit(fake_request(seed, early=False)) for seed in (1, FRAGILE, 2, POISONED)]
    engine.close()
    assert isinstance(handles[3].exception(), MemoryError)
    for handle in handles[:3]:
        assert plain(handle.result()) == alone(handle.request)


def test_done_callbacks_come_once() -> None:
    engine = Engine(FakeBackend())
    done: list[Handle] = []
    handle = engine.submit(fake_request(1))
    handle.add_done_callback(done.append)
    engine.close()
    handle.add_done_callback(done.append)
    assert done == [handle, handle]


def test_a_request_may_take_the_place_of_another_that_it_waited_for() -> None:
    """Progress that submits from inside a step must not lock itself out."""
    engine = Engine(FakeBackend(), max_queued=2)
    more: list[Handle] = []

    def follow(handle: Handle) -> None:
        more.append(engine.submit(fake_request(7, early=False)))

    engine.submit(fake_request(6, early=False)).add_done_callback(follow)
    while engine.step():
        pass
    assert plain(more[0].result()) == alone(fake_request(7, early=False))


def test_what_continues_goes_ahead_of_what_nobody_hears_yet() -> None:
    engine = Engine(FakeBackend(), max_batch=1)
    order: list[int] = []
    for seed in (1, 2, 3, 4):
        request = replace(fake_request(seed, early=False), continues=seed in (2, 4))
        engine.submit(request).add_done_callback(lambda done: order.append(done.request.seed))
    engine.close()
    assert order == [2, 4, 1, 3]
