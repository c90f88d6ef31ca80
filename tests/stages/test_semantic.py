"""Semantic prompts, limits and stops (parity S30-S35)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openbark.config import BarkConfig, SemanticRules
from openbark.errors import TextError
from openbark.params import GenerationParams, SamplingParams
from openbark.stages.semantic import (
    StopReason,
    choose_semantic,
    semantic_prompt,
    token_limit,
)

SUNO = SemanticRules()
TINY = BarkConfig.tiny().semantic_rules


def test_prompt_of_suno() -> None:
    prompt = semantic_prompt(np.array([5, 0, 119_546]), None, SUNO)
    assert len(prompt.ids) == 257
    assert prompt.ids[:4].tolist() == [10_053, 10_048, 129_594, 129_595]
    assert set(prompt.ids[3:256].tolist()) == {129_595}
    assert prompt.ids[256] == 129_599
    assert prompt.summed is not None
    assert prompt.summed.tolist() == [10_000] * 256


def test_short_history_is_padded_on_the_right() -> None:
    prompt = semantic_prompt(np.array([1]), np.array([7, 8, 9]), TINY)
    assert prompt.summed is not None
    assert prompt.summed.tolist() == [7, 8, 9, *[TINY.semantic_pad_token] * 13]


def test_long_history_keeps_its_end() -> None:
    prompt = semantic_prompt(np.array([1]), np.arange(50), TINY)
    assert prompt.summed is not None
    assert prompt.summed.tolist() == list(range(34, 50))


def test_text_of_any_integer_type() -> None:
    text = np.array([1, 2], dtype=np.uint16)
    assert semantic_prompt(text, None, SUNO).ids[:2].tolist() == [10_049, 10_050]
    history = np.array([3], dtype=np.uint16)
    prompt = semantic_prompt(text, history, SUNO)
    assert prompt.summed is not None and prompt.summed.dtype == np.int64


def test_text_fills_every_slot_but_no_more() -> None:
    full = semantic_prompt(np.zeros(16, dtype=np.int64), None, TINY)
    assert full.ids.tolist() == [110] * 16 + [191]
    with pytest.raises(TextError, match=r"17 tokens long.*at most 16.*split"):
        semantic_prompt(np.zeros(17, dtype=np.int64), None, TINY)
    with pytest.raises(TextError, match="empty"):
        semantic_prompt(np.zeros(0, dtype=np.int64), None, TINY)


@pytest.mark.parametrize(
    ("tokens", "seconds", "expected", "reason"),
    [
        (None, None, 768, StopReason.MAX_TOKENS),
        (None, 1.6, 80, StopReason.MAX_SECONDS),  # S35
        (None, 15.5, 768, StopReason.MAX_TOKENS),
        (None, 0.001, 1, StopReason.MAX_SECONDS),
        (200, None, 200, StopReason.MAX_TOKENS),
        (5000, None, 768, StopReason.MAX_TOKENS),
        (80, 1.6, 80, StopReason.MAX_TOKENS),
        (81, 1.6, 80, StopReason.MAX_SECONDS),
    ],
)
def test_limits(
    tokens: int | None, seconds: float | None, expected: int, reason: StopReason
) -> None:
    params = GenerationParams(max_semantic_tokens=tokens, max_semantic_seconds=seconds)
    limit = token_limit(params, SUNO)
    assert (limit.n_tokens, limit.reason) == (expected, reason)


@given(st.floats(0.01, 15.0))
def test_the_last_token_is_the_one_that_exceeds_the_duration(seconds: float) -> None:
    n_tokens = token_limit(GenerationParams(max_semantic_seconds=seconds), SUNO).n_tokens
    assert n_tokens / SUNO.rate_hz > seconds * (1 - 1e-12)
    assert (n_tokens - 1) / SUNO.rate_hz <= seconds * (1 + 1e-12)


def _logits(eos: float, **others: float) -> np.ndarray:
    """Logits of the tiny model: 0 everywhere in the vocabulary, +90 on ids nobody may draw."""
    logits = np.zeros(110)
    logits[101:] = 90.0
    logits[TINY.eos_token] = eos
    for name, value in others.items():
        logits[int(name[1:])] = value
    return logits


@given(st.floats(0, 1, exclude_max=True))
def test_only_the_semantic_vocabulary_is_drawn(uniform: float) -> None:
    sampling = SamplingParams(1.0, min_eos_p=None)
    token = choose_semantic(_logits(eos=-90.0), sampling, True, uniform, TINY)
    assert isinstance(token, int)
    assert 0 <= token < 100


def test_end_token_is_drawn() -> None:
    sampling = SamplingParams(1.0, min_eos_p=None)
    logits = _logits(eos=0.0)
    assert choose_semantic(logits, sampling, True, 0.9999, TINY) is StopReason.EOS
    assert choose_semantic(logits, sampling, True, 0.98, TINY) == 98
    assert choose_semantic(logits, sampling, False, 0.9999, TINY) == 99


def test_end_token_need_not_follow_the_vocabulary() -> None:
    rules = replace(TINY, eos_token=105)
    logits = np.zeros(110)
    logits[105] = 50.0
    sampling = SamplingParams(1.0, min_eos_p=None)
    assert choose_semantic(logits, sampling, True, 0.5, rules) is StopReason.EOS


def test_min_eos_p_counts_after_temperature() -> None:
    """S34, B3: at temperature 1 the end token has 0.168, at 0.5 it has 0.801."""
    logits = _logits(eos=3.0)
    with np.errstate(all="raise"):
        plain = SamplingParams(1.0, min_eos_p=0.2)
        assert isinstance(choose_semantic(logits, plain, True, 0.1, TINY), int)
        cold = SamplingParams(0.5, min_eos_p=0.2)
        assert choose_semantic(logits, cold, True, 0.1, TINY) is StopReason.EOS_PROBABILITY
        off = SamplingParams(0.5, min_eos_p=None)
        assert isinstance(choose_semantic(logits, off, True, 0.1, TINY), int)
        assert isinstance(choose_semantic(logits, cold, False, 0.1, TINY), int)


def test_min_eos_p_counts_after_filters() -> None:
    """With top_k=2 the end token shares with one other; with top_k=1 it is gone."""
    logits = _logits(eos=3.0, _5=4.0)
    two = SamplingParams(1.0, top_k=2, min_eos_p=0.2)
    assert choose_semantic(logits, two, True, 0.1, TINY) is StopReason.EOS_PROBABILITY
    one = SamplingParams(1.0, top_k=1, min_eos_p=0.2)
    assert choose_semantic(logits, one, True, 0.1, TINY) == 5


def test_min_eos_p_is_reached_by_equality() -> None:
    logits = np.full(110, -np.inf)
    logits[[3, TINY.eos_token]] = 0.0
    half = SamplingParams(1.0, min_eos_p=0.5)
    assert choose_semantic(logits, half, True, 0.1, TINY) is StopReason.EOS_PROBABILITY


def test_drawn_end_token_is_reported_before_its_probability() -> None:
    logits = _logits(eos=9.0)
    assert choose_semantic(logits, SamplingParams(1.0), True, 0.999, TINY) is StopReason.EOS


def test_greedy_ignores_min_eos_p_unless_the_end_token_leads() -> None:
    greedy = SamplingParams(0.0, min_eos_p=0.2)
    assert choose_semantic(_logits(eos=4.0, _7=4.1), greedy, True, 0.5, TINY) == 7
    assert choose_semantic(_logits(eos=4.0), greedy, True, 0.5, TINY) is StopReason.EOS
