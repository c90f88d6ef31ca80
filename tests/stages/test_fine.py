"""Fine windows and their in-place filling (parity S38, S12)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.config import BarkConfig
from openbark.params import GenerationParams, SamplingParams
from openbark.stages.fine import choose_fine, fine_canvas, fine_windows
from openbark.stages.reference import reference_fine
from openbark.stages.sampling import Noise, Stage, draw, probabilities

SUNO = BarkConfig()
TINY = BarkConfig.tiny()


def _codes(n_codebooks: int, n_frames: int, size: int = 1024) -> np.ndarray:
    return np.random.default_rng(n_frames).integers(0, size, (n_codebooks, n_frames))


def test_canvas_without_voice() -> None:
    coarse = _codes(2, 100)
    canvas = fine_canvas(coarse, None, SUNO)
    assert canvas.codes.shape == (8, 1024)
    assert (canvas.n_history, canvas.n_frames) == (0, 100)
    assert np.array_equal(canvas.codes[:2, :100], coarse)
    assert (canvas.codes[2:] == 1024).all()
    assert (canvas.codes[:, 100:] == 1024).all()


def test_canvas_keeps_the_end_of_a_voice() -> None:
    voice, coarse = _codes(8, 700), _codes(2, 600)
    canvas = fine_canvas(coarse, voice, SUNO)
    assert canvas.codes.shape == (8, 1112)
    assert canvas.n_history == 512
    assert np.array_equal(canvas.codes[:, :512], voice[:, -512:])
    assert np.array_equal(canvas.codes[:2, 512:], coarse)
    assert (canvas.codes[2:, 512:] == 1024).all()


def test_canvas_takes_more_given_codebooks() -> None:
    given_codes = _codes(5, 40)
    canvas = fine_canvas(given_codes, None, SUNO)
    assert np.array_equal(canvas.codes[:5, :40], given_codes)
    assert (canvas.codes[5:] == 1024).all()


@pytest.mark.parametrize(
    ("n_frames", "n_voice", "expected"),
    [
        (100, 0, [(0, 0)]),
        (1024, 0, [(0, 0)]),
        (1025, 0, [(0, 0), (1, 512)]),
        (1536, 0, [(0, 0), (512, 512)]),
        (1537, 0, [(0, 0), (512, 512), (513, 1024)]),
        (512, 600, [(0, 512)]),
        (513, 600, [(0, 512), (1, 513)]),
        (1154, 600, [(0, 512), (512, 1024), (642, 1154)]),
        (100, 30, [(0, 30)]),
        (994, 30, [(0, 30)]),
        (995, 30, [(0, 30), (1, 513)]),
    ],
)
def test_windows_of_suno(n_frames: int, n_voice: int, expected: list[tuple[int, int]]) -> None:
    voice = _codes(8, n_voice) if n_voice else None
    windows = fine_windows(fine_canvas(_codes(2, n_frames), voice, SUNO), SUNO)
    assert [(window.start, window.fill) for window in windows] == expected
    assert all(window.stop - window.start == 1024 for window in windows)


@settings(max_examples=60)
@given(st.integers(0, 1200), st.integers(0, 700))
def test_windows_equal_the_plain_rule(n_frames: int, n_voice: int) -> None:
    """S38 once more with Suno's literals; and every new frame is filled, no frame of the voice is."""
    voice = np.zeros((8, n_voice), dtype=np.int64) if n_voice else None
    canvas = fine_canvas(np.zeros((2, n_frames), dtype=np.int64), voice, SUNO)
    windows = fine_windows(canvas, SUNO)
    n_history = min(512, n_voice)
    length = max(1024, n_history + n_frames)
    n_loops = max(0, math.ceil((n_frames - (1024 - n_history)) / 512)) + 1
    plain = [
        (min(512 * n, length - 1024), min(n_history + 512 * n, length - 512))
        for n in range(n_loops)
    ]
    assert [(window.start, window.fill) for window in windows] == plain
    filled = np.zeros(length, dtype=bool)
    for window in windows:
        assert window.start <= window.fill
        filled[window.fill : window.stop] = True
    assert filled[n_history : n_history + n_frames].all()
    assert not filled[:n_history].any()


class _Recorder:
    """A network whose code for a frame is a function of what it sees there and just before."""

    def __init__(self, config: BarkConfig) -> None:
        self.config = config
        self.calls: list[tuple[int, np.ndarray]] = []

    def causal_logits(self, stage: Stage, prompt: object) -> np.ndarray:
        raise NotImplementedError

    def fine_logits(self, codes: np.ndarray, k: int) -> np.ndarray:
        self.calls.append((k, codes.copy()))
        before = np.concatenate([[0], codes[k - 1, :-1]])
        chosen = (7 * codes[k - 1] + 3 * before + codes[k] + k) % self.config.codebook_size
        logits = np.zeros((codes.shape[1], self.config.fine.output_vocab_size))
        logits[:, self.config.codebook_size :] = 99.0
        logits[np.arange(len(chosen)), chosen] = 1.0
        return logits


def _plain_fine(coarse: np.ndarray, voice: np.ndarray | None, config: BarkConfig) -> np.ndarray:
    """S38 as one loop with views, the way it is written down: later codebooks see earlier ones in place."""
    network = _Recorder(config)
    hop, width, pad = config.fine_rules.max_history, config.fine_rules.max_input, 32
    history = np.zeros((8, 0), dtype=np.int64) if voice is None else voice[:, -hop:]
    n_history, n_frames = history.shape[1], coarse.shape[1]
    rest = np.full((8 - len(coarse), n_frames), pad)
    array = np.concatenate([history, np.concatenate([coarse, rest])], axis=1)
    missing = max(0, width - array.shape[1])
    array = np.pad(array, ((0, 0), (0, missing)), constant_values=pad)
    n_loops = max(0, math.ceil((n_frames - (width - n_history)) / hop)) + 1
    for n in range(n_loops):
        start = min(n * hop, array.shape[1] - width)
        fill = min(n_history + n * hop, array.shape[1] - hop)
        view = array[:, start : start + width]
        for k in range(len(coarse), 8):
            logits = network.fine_logits(view, k)
            view[k, fill - start :] = logits[fill - start :, :32].argmax(-1)
    return array[:, n_history : n_history + n_frames]


@pytest.mark.parametrize("n_given", [1, 2, 5])
@pytest.mark.parametrize("n_voice", [0, 5, 40])
@pytest.mark.parametrize("n_frames", [1, 16, 17, 32, 33, 49, 100])
def test_filling_equals_the_plain_rule(n_frames: int, n_voice: int, n_given: int) -> None:
    coarse = _codes(n_given, n_frames, 32)
    voice = _codes(8, n_voice, 32) if n_voice else None
    network = _Recorder(TINY)
    found = reference_fine(network, coarse, voice, GenerationParams.greedy(), Noise(0))
    assert np.array_equal(found, _plain_fine(coarse, voice, TINY))
    assert np.array_equal(found[:n_given], coarse)


def test_a_codebook_sees_those_before_it_in_place() -> None:
    network = _Recorder(TINY)
    coarse = _codes(2, 10, 32)
    found = reference_fine(network, coarse, None, GenerationParams.greedy(), Noise(0))
    assert [k for k, _ in network.calls] == [2, 3, 4, 5, 6, 7]
    for k, seen in network.calls:
        assert np.array_equal(seen[:k, :10], found[:k])
        assert (seen[k:, :10] == TINY.codebook_size).all(), "its own slot is still padding"
        assert (seen[:2, 10:] == TINY.codebook_size).all()


def test_result_is_a_copy() -> None:
    canvas = fine_canvas(_codes(2, 10), None, SUNO)
    result = canvas.result()
    result[:] = 0
    assert canvas.codes[:2, :10].any()


def test_noise_is_keyed_by_codebook_and_canvas_frame() -> None:
    """A frame draws the same number whichever window it is in."""
    logits = np.random.default_rng(0).normal(0, 1, (20, 36))
    sampling, noise = SamplingParams(1.0), Noise(4)
    found = choose_fine(logits, 3, 100, sampling, noise, TINY)
    later = choose_fine(logits[5:], 3, 105, sampling, noise, TINY)
    assert np.array_equal(found[5:], later)
    uniforms = noise.uniforms(Stage.FINE, 3, np.arange(100, 120))
    assert np.array_equal(found, draw(probabilities(logits[:, :32], sampling), uniforms))
    other = choose_fine(logits, 4, 100, sampling, noise, TINY)
    assert not np.array_equal(found, other)


def test_codes_stay_in_the_codebook() -> None:
    logits = np.zeros((50, 36))
    logits[:, 32:] = 99.0
    for temperature in (0.0, 1.0):
        found = choose_fine(logits, 2, 0, SamplingParams(temperature), Noise(1), TINY)
        assert found.max() < 32


def test_other_codebook_counts() -> None:
    fine = replace(TINY.fine, n_codes_total=4)
    config = replace(TINY, fine=fine, fine_rules=replace(TINY.fine_rules, n_codebooks=4))
    found = reference_fine(
        _Recorder(config), _codes(2, 40, 32), None, GenerationParams.greedy(), Noise(0)
    )
    assert found.shape == (4, 40)
