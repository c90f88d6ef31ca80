"""Draws of the compiled engine against the stages' rules: noise, filters, stops, whole requests."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine, variants
from numpy.typing import NDArray
from waiting import wait_until

from openbark.api import Bark
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool, load_library
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
            assert library.ob_uniform(seed, int(stage), step, row) == number


@dataclass(frozen=True)
class _Drawn:
    token: int
    walked: bool
    reaches: bool
    last_probability: float


def _native_draw(
    pool: Pool,
    logits: NDArray[np.float32],
    params: SamplingParams,
    number: float,
    slowly: bool = False,
) -> _Drawn:
    token, walked, reaches = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    last = ctypes.c_double()
    pool.call(
        "ob_draw_row",
        pool.handle,
        logits,
        logits.size,
        ctypes.byref(sampling_struct(params)),
        number,
        slowly,
        ctypes.byref(token),
        ctypes.byref(walked),
        ctypes.byref(reaches),
        ctypes.byref(last),
    )
    return _Drawn(token.value, bool(walked.value), bool(reaches.value), last.value)


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_a_draw_is_the_stages_draw(params: SamplingParams) -> None:
    generator, pool = np.random.default_rng(3), Pool(1)
    for n in (1, 2, 17, 300):
        for ties in (False, True):
            logits = generator.normal(0, 3, n).astype(np.float32)
            if ties:
                logits = np.round(logits)
            distribution = probabilities(logits[None], params)
            for number in (0.0, 0.3, 0.999999, *generator.random(5).tolist()):
                expected = int(draw(distribution, np.array([number]))[0])
                for slowly in (False, True):
                    drawn = _native_draw(pool, logits, params, number, slowly)
                    assert drawn.token == expected
                    assert drawn.last_probability == pytest.approx(distribution[0, -1], abs=1e-12)


def _adversarial_rows() -> Iterator[NDArray[np.float32]]:
    """Logits that strain a draw: flat, steep, huge, equal, infinitely unlikely, sorted both ways."""
    generator = np.random.default_rng(8)
    for n in (1, 63, 64, 65, 1024, 10_001):
        row = generator.normal(0, 3, n).astype(np.float32)
        yield from (row, row * 0, row * 40, row + 3000, row * 1e-3, np.sort(row), -np.sort(-row))
        holes = row.copy()
        holes[generator.random(n) < 0.7] = -np.inf
        holes[n // 2] = 0.0
        yield holes
        peak = row * 0 - 800
        peak[-1] = 0.0
        yield peak.astype(np.float32)


@pytest.mark.parametrize("kernels", variants())
def test_the_fast_draw_is_the_walk_of_the_rules(kernels: str) -> None:
    pool, generator = Pool(1, kernels), np.random.default_rng(4)
    n_draws = n_walked = 0
    for row in _adversarial_rows():
        for temperature, top_k in ((0.7, None), (1e-3, None), (30.0, None), (0.9, 7)):
            params = SamplingParams(temperature=temperature, top_k=top_k, min_eos_p=0.01)
            for number in (0.0, 1 - 2**-53, *generator.random(12).tolist()):
                fast = _native_draw(pool, row, params, number)
                slow = _native_draw(pool, row, params, number, slowly=True)
                assert replace(fast, walked=True) == slow
                n_draws += 0 < number < 0.9999
                n_walked += fast.walked and 0 < number < 0.9999
    assert n_walked <= n_draws / 100


@pytest.mark.parametrize("kernels", variants())
def test_a_number_on_a_boundary_is_left_to_the_rules(kernels: str) -> None:
    pool, params = Pool(1, kernels), SamplingParams(temperature=1.0)
    row = np.zeros(1024, dtype=np.float32)
    for index in (1, 63, 64, 511, 1023):
        for step in (-1, 0, 1):
            number = index / 1024 + step * 2**-53
            drawn = _native_draw(pool, row, params, number)
            assert drawn.walked
            assert drawn.token == index - (step < 0)
            inside = _native_draw(pool, row, params, number + 1e-9)
            assert (inside.token, inside.walked) == (index, False)


def test_the_end_is_as_probable_as_the_rules_say_to_the_last_bit() -> None:
    pool, generator = Pool(1), np.random.default_rng(6)
    for n in (65, 10_001):
        row = generator.normal(0, 1, n).astype(np.float32)
        row[-1] = 5.0
        share = _native_draw(pool, row, SamplingParams(), 0.5, slowly=True).last_probability
        above, below = float(np.nextafter(share, 1)), float(np.nextafter(share, 0))
        for least, expected in ((share, True), (above, False), (below, True), (share / 2, True)):
            params = SamplingParams(min_eos_p=least)
            assert _native_draw(pool, row, params, 0.5).reaches == expected


_TINY = (1e-8, 1e-30, 1e-38, 1e-45, 2.3e-308, 1e-310, 1e-320, 5e-324)


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("temperature", _TINY)
def test_a_tiny_temperature_is_greedy(temperature: float, kernels: str) -> None:
    pool, generator = Pool(1, kernels), np.random.default_rng(9)
    for n in (1, 2, 64, 65, 1000):
        for shift in (-3000, -1, 0, 3000):
            row = (generator.normal(0, 3, n) + shift).astype(np.float32)
            row[generator.integers(n)] = row.max() + np.float32(1)
            for extra in ({}, {"top_k": 7}, {"top_p": 0.8}, {"min_eos_p": 0.2}):
                params = SamplingParams(temperature=temperature, **extra)  # type: ignore[arg-type]
                shares = probabilities(row[None], params)
                for number in (0.0, 0.4, 1 - 2**-53):
                    rule = int(draw(shares, np.array([number]))[0])
                    fast = _native_draw(pool, row, params, number)
                    slow = _native_draw(pool, row, params, number, slowly=True)
                    assert rule == fast.token == slow.token == int(row.argmax())
                    assert fast.reaches == slow.reaches == bool(shares[0, -1] >= 0.2)


@pytest.mark.parametrize("temperature", _TINY)
def test_equal_logits_share_even_a_tiny_temperature(temperature: float) -> None:
    row = np.array([1.0, 5.0, -2.0, 5.0], dtype=np.float32)
    params = SamplingParams(temperature=temperature)
    shares = probabilities(row[None], params)
    assert shares[0].tolist() == [0.0, 0.5, 0.0, 0.5]
    for number, expected in ((0.2, 1), (0.7, 3)):
        assert _native_draw(Pool(1), row, params, number).token == expected
        assert int(draw(shares, np.array([number]))[0]) == expected


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_whole_request_with_tiny_temperatures_is_the_greedy_one(
    dtype: str, tiny_checkpoint_dir: Path
) -> None:
    bark = Bark.load(tiny_checkpoint_dir, backend="native", dtype=dtype, threads=2)

    def speak(temperature: float) -> NDArray[np.float32]:
        sampling = SamplingParams(temperature=temperature)
        params = GenerationParams(
            sampling, sampling, sampling, max_semantic_tokens=20, allow_early_stop=False
        )
        return bark.generate("Hello there.", seed=1, params=params).waveform

    greedy = speak(0.0)
    for temperature in (1e-30, 1e-45, 1e-320):
        assert np.array_equal(speak(temperature), greedy)


def test_what_is_no_number_is_drawn_as_it_always_was() -> None:
    pool = Pool(1)
    for row in ([1.0, np.nan, 2.0], [np.inf, 0.0, 1.0], [-np.inf, -np.inf]):
        logits = np.array(row, dtype=np.float32)
        for number in (0.0, 0.4):
            fast = _native_draw(pool, logits, SamplingParams(), number)
            assert fast.token == _native_draw(pool, logits, SamplingParams(), number, True).token
            assert fast.walked


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
    drawn: list[int] = []

    def stop() -> None:
        wait_until(lambda: drawn, "a run that was drawn")
        cancel[0] = 1

    watcher = threading.Thread(target=stop)
    watcher.start()
    while not cancel[0]:
        session.read(Prompt(np.arange(2)))
        drawn.append(len(session.draw_run(params, Noise(0), 0, 200, cancel=cancel)[0]))
    watcher.join()
    # What was drawn before the stop is kept and can be continued.
    cancel[0] = 0
    assert len(session.draw_run(params, Noise(0), 0, 5)[0]) == 5
