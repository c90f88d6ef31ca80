"""Draws of the compiled engine against the stages' rules: noise, filters, stops, whole requests."""

from __future__ import annotations

import ctypes
import threading
import time
from itertools import product

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine, variants
from numpy.typing import NDArray

from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import load_library
from openbark.backends.native.structs import sampling_struct
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.stages.coarse import choose_coarse
from openbark.stages.fine import choose_fine
from openbark.stages.sampling import Noise, Stage, draw, probabilities
from openbark.stages.semantic import Prompt, StopReason, choose_semantic, semantic_prompt

pytestmark = needs_engine

SETTINGS = (
    SamplingParams(temperature=0.0),
    SamplingParams(),
    SamplingParams(temperature=1.3, top_k=5),
    SamplingParams(temperature=0.7, top_p=0.6),
    SamplingParams(temperature=0.9, top_k=12, top_p=0.9, min_eos_p=0.05),
    SamplingParams(temperature=1.0, top_k=1, min_eos_p=None),
    SamplingParams(temperature=1.0, top_p=1.0, top_k=10_000),
)


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
def test_noise_is_the_stages_noise(seed: int) -> None:
    library = load_library()
    for stage, step in product(Stage, (0, 1, 767, 2**31 - 1)):
        rows = np.array([0, 1, 1023])
        expected = Noise(seed).uniforms(stage, step, rows)
        for row, number in zip(rows.tolist(), expected.tolist(), strict=True):
            assert library.ob_uniform(ctypes.c_uint64(seed), int(stage), step, row) == number


def _native_draw(
    logits: NDArray[np.float32], params: SamplingParams, number: float
) -> tuple[int, float]:
    library = load_library()
    token, last = ctypes.c_int(), ctypes.c_double()
    status = library.ob_draw(
        ctypes.c_void_p(logits.ctypes.data),
        ctypes.c_int(logits.size),
        ctypes.byref(sampling_struct(params)),
        ctypes.c_double(number),
        ctypes.byref(token),
        ctypes.byref(last),
    )
    assert status == 0
    return token.value, last.value


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_a_draw_is_the_stages_draw(params: SamplingParams) -> None:
    generator = np.random.default_rng(3)
    for n in (1, 2, 17, 300):
        for ties in (False, True):
            logits = generator.normal(0, 3, n).astype(np.float32)
            if ties:
                logits = np.round(logits)
            distribution = probabilities(logits[None], params)
            for number in (0.0, 0.3, 0.999999, *generator.random(5).tolist()):
                expected = int(draw(distribution, np.array([number]))[0])
                token, last = _native_draw(logits, params, number)
                assert token == expected
                assert last == pytest.approx(distribution[0, -1], abs=1e-12)


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_semantic_runs_follow_the_rules(params: SamplingParams, kernels: str) -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["tiny"]), threads=2, kernels=kernels)
    rules = backend.config.semantic_rules
    prompt = semantic_prompt(np.arange(5), np.arange(30), rules)
    for seed, early in product(range(4), (True, False)):
        noise = Noise(seed)
        session = backend.session(Stage.SEMANTIC)
        logits = session.prefill(prompt)
        expected: list[int] = []
        reason: StopReason | None = None
        while len(expected) < 30:
            number = noise.uniform(Stage.SEMANTIC, len(expected))
            choice = choose_semantic(logits, params, early, number, rules)
            if isinstance(choice, StopReason):
                reason = choice
                break
            expected.append(choice)
            logits = session.step(choice)
        run = backend.session(Stage.SEMANTIC)
        run.read(prompt)
        tokens, stop = run.draw_run(params, noise, 0, 30, early)
        assert (tokens.tolist(), stop) == (expected, reason)


@pytest.mark.parametrize("name", CONFIGS)
def test_coarse_runs_take_turns_and_continue(name: str) -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS[name]), threads=1)
    config = backend.config
    prompt = Prompt(np.arange(30) % config.coarse.input_vocab_size)
    params, noise = SamplingParams(temperature=0.8), Noise(11)
    session = backend.session(Stage.COARSE)
    logits = session.prefill(prompt)
    expected = []
    for step in range(7, 27):
        token = choose_coarse(logits, step, params, noise.uniform(Stage.COARSE, step), config)
        expected.append(token)
        logits = session.step(token)
    run = backend.session(Stage.COARSE)
    run.read(prompt)
    tokens = [
        token
        for first, count in ((7, 1), (8, 12), (20, 7))
        for token in run.draw_run(params, noise, first, count)[0].tolist()
    ]
    assert tokens == expected


@pytest.mark.parametrize("params", SETTINGS[:4], ids=str)
def test_fine_draws_follow_the_rules(params: SamplingParams) -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["tiny"]), threads=2)
    config, noise = backend.config, Noise(5)
    codes = np.random.default_rng(0).integers(0, 33, (8, 32))
    for k, first in ((2, 0), (5, 16), (7, 31)):
        logits = backend.fine_logits(codes, k)
        expected = choose_fine(logits[first:], k, 100 + first, params, noise, config)
        drawn = backend.draw_fine(codes, k, first, 100 + first, params, noise)
        np.testing.assert_array_equal(drawn, expected)


def test_a_run_is_cancelled_from_another_thread() -> None:
    backend = NativeBackend.load(checkpoint_in_memory(CONFIGS["wide"]), threads=1)
    session = backend.session(Stage.COARSE)
    session.read(Prompt(np.arange(2)))
    cancel = np.zeros(1, dtype=np.int32)
    assert SUNO_PARAMS.coarse is not None
    params = GenerationParams().resolve(SUNO_PARAMS).coarse
    assert params is not None
    cancel[0] = 1
    tokens, reason = session.draw_run(params, Noise(0), 0, 200, cancel=cancel)
    assert (len(tokens), reason) == (0, None)
    cancel[0] = 0
    started = threading.Event()

    def stop() -> None:
        started.wait()
        time.sleep(0.002)
        cancel[0] = 1

    watcher = threading.Thread(target=stop)
    watcher.start()
    started.set()
    total = 0
    while not cancel[0]:
        session.read(Prompt(np.arange(2)))
        total += len(session.draw_run(params, Noise(0), 0, 200, cancel=cancel)[0])
    watcher.join()
    # What was drawn before the stop is kept and can be continued.
    cancel[0] = 0
    assert len(session.draw_run(params, Noise(0), 0, 5)[0]) == 5
