"""Coarse windows, history trimming and the alignment cut (parity S36, S37, S41)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.config import BarkConfig
from openbark.params import SamplingParams
from openbark.stages.coarse import (
    choose_coarse,
    coarse_codes,
    coarse_context,
    coarse_ids,
    coarse_window_prompt,
    n_coarse_steps,
)

SUNO = BarkConfig()
TINY = BarkConfig.tiny()
VOICES = Path(__file__).parents[3] / "shared" / "voices"


def _voice(n_semantic: int, n_frames: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    frames = int(n_semantic * 75 / 49.9) if n_frames is None else n_frames
    generator = np.random.default_rng(n_semantic)
    return (
        generator.integers(0, 10_000, n_semantic),
        generator.integers(0, 1024, (2, frames)),
    )


def test_derived_figures_of_suno() -> None:
    assert SUNO.coarse_per_semantic == 3.006012024048096
    assert SUNO.max_semantic_history == 209
    assert SUNO.max_seconds == pytest.approx(15.39, abs=0.005)


@pytest.mark.parametrize(
    ("n_semantic", "n_steps"), [(0, 0), (1, 2), (2, 6), (20, 60), (100, 300), (768, 2308)]
)
def test_steps(n_semantic: int, n_steps: int) -> None:
    assert n_coarse_steps(n_semantic, SUNO) == n_steps


@given(st.integers(0, 768))
def test_steps_are_whole_frames(n_semantic: int) -> None:
    n_steps = n_coarse_steps(n_semantic, SUNO)
    assert n_steps % 2 == 0
    assert 0 <= n_semantic * 75 / 49.9 - n_steps / 2 < 1


def test_ids_interleave_codebooks() -> None:
    codes = np.array([[0, 1, 1023], [5, 6, 7]])
    ids = coarse_ids(codes, SUNO)
    assert ids.tolist() == [10_000, 11_029, 10_001, 11_030, 11_023, 11_031]
    assert coarse_codes(ids, SUNO).tolist() == codes.tolist()


def test_ids_of_narrow_integer_types_do_not_wrap() -> None:
    codes = np.array([[1023], [1023]], dtype=np.uint16)
    assert coarse_ids(codes, SUNO).tolist() == [11_023, 12_047]


@given(st.integers(0, 30), st.integers(0, 2**32))
def test_ids_and_codes_undo_each_other(n_frames: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 32, (2, n_frames))
    assert np.array_equal(coarse_codes(coarse_ids(codes, TINY), TINY), codes)


def test_no_voice_is_no_history() -> None:
    context = coarse_context(np.arange(9), None, None, SUNO)
    assert (context.n_history, context.n_semantic, len(context.history)) == (0, 9, 0)


@pytest.mark.parametrize(
    ("n_semantic", "n_frames", "kept", "tail"),
    [
        (400, 601, 209, 628 - 2),  # all that fits: 209 * 3.006 = 628.3
        (100, 150, 99, 298 - 2),  # 300 / 3.006 = 99.8: an odd count is kept when the frames decide
        (85, 200, 84, 253 - 2),  # an odd tail: its first token is of codebook 1
        (84, 100, 66, 198 - 2),
        (2, 3, 1, 3 - 2),
        (1, 1, 1, 2 - 2),  # nothing fits: [-0:] keeps everything, then the cut
        (1, 30, 1, 60 - 2),
    ],
)
def test_trim(n_semantic: int, n_frames: int, kept: int, tail: int) -> None:
    """S37, in Suno's figures: 3.006 coarse tokens per semantic one, 209 semantic ones at most."""
    semantic, codes = _voice(n_semantic, n_frames)
    context = coarse_context(np.array([1, 2, 3]), semantic, codes, SUNO)
    assert context.n_semantic == 3
    assert (context.n_history, len(context.history)) == (kept, tail)
    assert context.semantic.tolist() == [*semantic[-kept:].tolist(), 1, 2, 3]
    ids = coarse_ids(codes, SUNO)
    assert context.history.tolist() == ids[len(ids) - tail - 2 : len(ids) - 2].tolist()


def test_odd_tail_starts_inside_a_frame() -> None:
    semantic, codes = _voice(84, 200)
    history = coarse_context(np.zeros(1, dtype=np.int64), semantic, codes, SUNO).history
    assert len(history) == 251
    assert history[0] >= 11_024
    assert history[-1] >= 11_024


def _plain_window(
    semantic: list[int], voice: tuple[list[int], list[int]], drawn: list[int]
) -> list[int]:
    """S36 and S37 once more, spelled out with Suno's literals: voice = (semantic, flat coarse ids)."""
    ratio = 75 / 49.9 * 2
    history_semantic, history_coarse = voice
    if history_semantic:
        n_semantic = len(history_semantic)
        n = min(209, n_semantic - n_semantic % 2, int(len(history_coarse) // ratio))
        history_semantic = history_semantic[-n:]
        history_coarse = history_coarse[-round(n * ratio) :][:-2]
    everything = history_semantic + semantic
    index = len(history_semantic) + round(len(drawn) / ratio)
    visible = everything[max(0, index - 209) :][:256]
    visible += [12_048] * (256 - len(visible))
    return [*visible, 12_050, *(history_coarse + drawn)[-630:]]


@settings(max_examples=80)
@given(
    st.integers(1, 768),
    st.none() | st.tuples(st.integers(1, 740), st.integers(1, 1110)),
    st.integers(0, 38),
    st.integers(0, 1000),
)
def test_windows_equal_the_plain_rule(
    n_semantic: int, voice_size: tuple[int, int] | None, window: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    semantic = generator.integers(0, 10_000, n_semantic)
    n_drawn = min(60 * window, n_coarse_steps(n_semantic, SUNO))
    drawn = generator.integers(10_000, 12_048, n_drawn)
    voice = (None, None) if voice_size is None else _voice(*voice_size)
    context = coarse_context(semantic, *voice, SUNO)
    prompt = coarse_window_prompt(context, drawn, SUNO)
    plain_voice: tuple[list[int], list[int]] = ([], [])
    if voice_size is not None:
        plain_voice = (voice[0].tolist(), coarse_ids(voice[1], SUNO).tolist())
    assert prompt.ids.tolist() == _plain_window(semantic.tolist(), plain_voice, drawn.tolist())
    assert prompt.summed is None
    assert len(prompt.ids) + SUNO.coarse_rules.sliding_window <= SUNO.coarse.block_size


def test_window_positions_of_suno() -> None:
    """Without a voice the first eleven windows see the semantic tokens from 0, then they slide."""
    semantic = np.arange(700)
    context = coarse_context(semantic, None, None, SUNO)
    firsts = []
    for n_drawn in range(0, 1200, 60):
        prompt = coarse_window_prompt(context, np.full(n_drawn, 10_000), SUNO)
        firsts.append(int(prompt.ids[0]))
        assert len(prompt.ids) == 257 + min(630, n_drawn)
    assert firsts[:11] == [0] * 11
    assert firsts[11:14] == [11, 31, 50]  # round(660 / 3.006) = 220, less 209


def test_semantic_tokens_run_out() -> None:
    context = coarse_context(np.array([4, 5]), None, None, SUNO)
    ids = coarse_window_prompt(context, np.zeros(0, dtype=np.int64), SUNO).ids
    assert ids.tolist() == [4, 5, *[12_048] * 254, 12_050]


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True), st.integers(0, 100))
def test_only_the_codebook_whose_turn_it_is(step: int, uniform: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, TINY.coarse.output_vocab_size)
    logits[: TINY.coarse_offset] += 50.0
    logits[TINY.coarse_offset + 64 :] += 50.0
    token = choose_coarse(logits, step, SamplingParams(1.0), uniform, TINY)
    first = TINY.coarse_offset + 32 * (step % 2)
    assert first <= token < first + 32
    greedy = choose_coarse(logits, step, SamplingParams(0.0), uniform, TINY)
    assert greedy == first + logits[first : first + 32].argmax()


def _presets() -> list[Path]:
    return sorted(VOICES.rglob("*.npz"))


@pytest.mark.skipif(not VOICES.is_dir(), reason="Suno's presets are not here")
def test_all_presets_trim_to_a_window() -> None:
    """S41: the arithmetic holds on real data, uint16 arrays included."""
    presets = _presets()
    assert len(presets) == 271
    for path in presets:
        with np.load(path, allow_pickle=False) as arrays:
            semantic, coarse = arrays["semantic_prompt"], arrays["coarse_prompt"]
            fine = arrays["fine_prompt"]
        assert np.array_equal(coarse, fine[:2]), path.name
        n_frames = n_coarse_steps(len(semantic), SUNO) // 2
        assert coarse.shape == (2, n_frames), path.name
        context = coarse_context(np.array([1]), semantic, coarse, SUNO)
        plain = _plain_window([1], (semantic.tolist(), coarse_ids(coarse, SUNO).tolist()), [])
        found = coarse_window_prompt(context, np.zeros(0, dtype=np.int64), SUNO).ids
        assert found.tolist() == plain, path.name
        assert context.history.min() >= 10_000 and context.history.max() < 12_048
        assert abs(context.n_history * SUNO.coarse_per_semantic - len(context.history) - 2) <= 0.5
