"""What an attempt at a piece is worth, and the settings that say how often it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from spoken_words import SAMPLE_RATE, tone

from openbark.config import BarkConfig
from openbark.errors import ParamError
from openbark.longform.options import LongFormOptions, Pauses
from openbark.longform.scoring import (
    DefaultScorer,
    Score,
    measured,
    sound_profile,
    word_error_rate,
)
from openbark.params import SUNO_PARAMS, GenerationParams
from openbark.stages.semantic import StopReason
from openbark.text.split.pieces import Boundary

CONFIG = BarkConfig.tiny()


@pytest.mark.parametrize(
    ("waveform", "stop_reason", "params", "faults"),
    [
        (tone(2.0), StopReason.EOS, SUNO_PARAMS, ()),
        (tone(9.0), StopReason.EOS, SUNO_PARAMS, ("9.0 s long, 2.0 s expected",)),
        (tone(0.2), StopReason.EOS, SUNO_PARAMS, ("only 0.2 s long, 2.0 s expected",)),
        (tone(2.0), StopReason.MAX_TOKENS, SUNO_PARAMS, ("it came to no end",)),
        (tone(2.0, 1.2), StopReason.EOS, SUNO_PARAMS, ("1.2 s of silence at its end",)),
        (np.zeros(100, np.float32), StopReason.EOS, SUNO_PARAMS, ("it is silent",)),
        (
            tone(0.2),
            StopReason.MAX_TOKENS,
            dataclasses.replace(SUNO_PARAMS, max_semantic_tokens=10),
            (),
        ),
    ],
)
def test_faults_of_an_attempt(
    waveform: np.ndarray, stop_reason: StopReason, params: GenerationParams, faults: tuple[str, ...]
) -> None:
    attempt = measured("one two", 2.0, params, stop_reason, waveform, CONFIG)
    score = DefaultScorer().score(attempt)
    assert score.faults == faults
    assert 0 <= score.value <= 1


def test_a_score_falls_with_length_sound_and_words() -> None:
    reference = sound_profile(tone(1.0), SAMPLE_RATE)
    noise = np.random.default_rng(1).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)

    def value(waveform: np.ndarray, **heard: Callable[..., str]) -> Score:
        attempt = measured("one two", 2.0, SUNO_PARAMS, StopReason.EOS, waveform, CONFIG, reference)
        return DefaultScorer(**heard).score(attempt)

    best = value(tone(2.0))
    assert best.value > 0.95
    assert value(tone(3.5)).value < best.value
    assert value(noise).value < best.value
    wrong = value(tone(2.0), recogniser=lambda waveform, rate: "three")
    assert wrong.faults == ("100% of its words are wrong",)
    assert value(tone(2.0), recogniser=lambda waveform, rate: "One, two!").value > 0.95


def test_word_errors() -> None:
    assert word_error_rate("One two three.", "one three") == pytest.approx(1 / 3)
    assert word_error_rate("a", "b c") == 2.0
    assert word_error_rate("", "") == 0.0


@pytest.mark.parametrize(
    "settings",
    [
        {"split": "page"},
        {"policy": "random"},
        {"language": "xx"},
        {"max_seconds": float("nan")},
        {"max_seconds": "12"},
        {"min_seconds": 13.0},
        {"crossfade_seconds": 0.5},
        {"keep_seconds": 0.2},
        {"retries": 2.0},
        {"best_of": 0},
        {"ahead": 0},
        {"anchor_every": True},
        {"pauses": 0.5},
    ],
)
def test_bad_options_are_named(settings: dict[str, object]) -> None:
    (name,) = settings
    with pytest.raises(ParamError, match=name):
        LongFormOptions(**settings)  # type: ignore[arg-type]
    with pytest.raises(ParamError, match=r"pauses\.clause"):
        Pauses(clause=-1)


def test_boundaries_without_a_pause() -> None:
    assert Pauses().after(Boundary.NONE) == Pauses().after(Boundary.END) == 0.0
