"""Sixty-four requests from eight threads on the compiled engine: no cross-talk, gauges back at zero."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import library_path
from openbark.checkpoints import open_checkpoint
from openbark.engine.cascade import run
from openbark.engine.engine import Engine
from openbark.engine.handle import Handle
from openbark.engine.request import CascadeResult, Request
from openbark.engine.stats import EngineStats
from openbark.errors import BusyError, CancelledError, TextError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.voices.voice import Voice

pytestmark = pytest.mark.skipif(
    not library_path().exists(), reason="the CPU engine was not built: no C++ compiler"
)

N_THREADS, N_REQUESTS = 8, 64


@pytest.fixture(scope="module", params=[2, 3], ids=["two_threads", "three_threads"])
def native(tiny_checkpoint_dir: Path, request: pytest.FixtureRequest) -> NativeBackend:
    return NativeBackend.load(open_checkpoint(tiny_checkpoint_dir), threads=request.param)


def _voice(seed: int) -> Voice:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 32, (8, 45))
    return Voice(generator.integers(0, 100, 30), codes[:2], codes)


VOICES = (None, _voice(1), _voice(2))
PARAMS = (
    GenerationParams(),
    GenerationParams.greedy(),
    GenerationParams(
        semantic=SamplingParams(0.9, top_k=20, top_p=0.9, min_eos_p=0.05),
        coarse=SamplingParams(0.8, top_p=0.8),
        fine=SamplingParams(0.6, top_k=7),
    ),
    GenerationParams(max_semantic_tokens=11, allow_early_stop=False),
    GenerationParams(max_semantic_seconds=0.5, allow_early_stop=False),
)


def _request(index: int) -> Request:
    generator = np.random.default_rng(index)
    return Request(
        text_tokens=generator.integers(0, 50, 1 + index % 16),
        params=PARAMS[index % len(PARAMS)].resolve(SUNO_PARAMS),
        seed=int(generator.integers(0, 2**63)),
        voice=VOICES[index % len(VOICES)],
        cancel=threading.Event() if index % 9 == 4 else None,
    )


def _alone(backend: NativeBackend, request: Request) -> CascadeResult | None:
    """None for a request whose model ends before it begins."""
    try:
        return run(backend, request)
    except TextError:
        return None


def _idle(stats: EngineStats) -> bool:
    gauges = (stats.queued, stats.running, stats.semantic, stats.coarse, stats.fine, stats.codec)
    return not any(gauges) and stats.queued_seconds == 0


def _stop(handle: Handle) -> None:
    """In one of the two ways there are."""
    if isinstance(handle.request.cancel, threading.Event):
        handle.request.cancel.set()
    else:
        handle.cancel()


def _client(engine: Engine, worker: int, handles: list[Handle | None]) -> None:
    """Submits its share at random times, and cancels every seventh a moment later."""
    dice = random.Random(worker)
    for index in range(worker, N_REQUESTS, N_THREADS):
        time.sleep(dice.uniform(0, 0.004))
        while handles[index] is None:
            try:
                handles[index] = engine.submit(_request(index))
            except BusyError:
                time.sleep(0.002)
        if index % 7 == 3:
            time.sleep(dice.uniform(0, 0.004))
            handle = handles[index]
            assert handle is not None
            _stop(handle)


@pytest.mark.parametrize(("max_batch", "shared"), [(3, False), (16, False), (16, True)])
def test_N2_N8_every_finished_request_equals_its_solo_run(
    native: NativeBackend, max_batch: int, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NativeBackend, "shares_cores", shared)
    handles: list[Handle | None] = [None] * N_REQUESTS
    with Engine(native, max_batch=max_batch, max_queued=20) as engine:
        engine.start()
        clients = [
            threading.Thread(target=_client, args=(engine, worker, handles))
            for worker in range(N_THREADS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    finished = 0
    for index, handle in enumerate(handles):
        assert handle is not None and handle.done
        error = handle.exception()
        if isinstance(error, CancelledError):
            assert index % 7 == 3
            continue
        alone = _alone(native, _request(index))
        if alone is None:
            assert isinstance(error, TextError)
            continue
        assert error is None
        found = handle.result()
        for name in ("semantic", "coarse", "fine", "waveform"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
        assert found.stop_reason == alone.stop_reason
        finished += 1
    stats = engine.stats
    assert _idle(stats)
    assert stats.finished == finished >= N_REQUESTS // 2
    assert stats.finished + stats.failed + stats.cancelled == N_REQUESTS


def test_N7_two_engines_in_one_process_do_not_collide(native: NativeBackend) -> None:
    found: dict[int, CascadeResult] = {}

    async def speak(engine: Engine, indices: list[int]) -> None:
        handles = [engine.submit(_request(index)) for index in indices]
        for index, handle in zip(indices, handles, strict=True):
            found[index] = await handle

    def serve(indices: list[int]) -> None:
        with Engine(native, max_batch=4) as engine:
            asyncio.run(speak(engine, indices))
            assert _idle(engine.stats)

    # Requests that ignore the end token: none of them says nothing.
    shares = [[3, 8, 13, 18, 23], [4, 9, 14, 19, 24]]
    threads = [threading.Thread(target=serve, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in (*shares[0], *shares[1]):
        alone = run(native, _request(index))
        np.testing.assert_array_equal(found[index].waveform, alone.waveform)


@pytest.mark.parametrize("stage", ["semantic", "coarse", "fine"])
def test_cancelling_frees_the_place_within_one_step(native: NativeBackend, stage: str) -> None:
    engine = Engine(native, max_batch=2)
    stays, leaves = engine.submit(_request(3)), engine.submit(_request(8))
    while getattr(engine.stats, stage) < 2:
        assert engine.step()
    leaves.cancel()
    engine.step()
    assert isinstance(leaves.exception(0), CancelledError)
    assert engine.stats.running == 1
    engine.close()
    np.testing.assert_array_equal(stays.result().waveform, run(native, _request(3)).waveform)
    assert _idle(engine.stats)
