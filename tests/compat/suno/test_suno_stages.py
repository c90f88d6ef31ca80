"""Arguments and results of Suno's stage functions: rows S11-S13, S30 and S42 of the parity list."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import bark
from openbark.errors import ParamError, TextError


def test_S30_long_text_is_cut_with_a_warning(
    tiny_generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = bark.text_to_semantic("abcd" * 5, silent=True)
    assert tokens.dtype == np.int64
    assert caplog.messages == ["warning, text too long, lopping of last 20.0%"]
    with pytest.raises(TextError, match="holds only white space"):
        bark.text_to_semantic(" \n\t ")


def test_S42_nothing_said_is_a_typed_error(tiny_generation: ModuleType) -> None:
    with pytest.raises(TextError, match="ended before it said anything"):
        bark.semantic_to_waveform(np.zeros(0, dtype=np.int64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.generate_coarse(np.array([100])), r"x_semantic holds 100..100; legal: 0..99"),
        (lambda g: g.generate_coarse(np.zeros((2, 2), dtype=int)), "with 1 dimension"),
        (
            lambda g: g.generate_coarse(np.zeros(9, dtype=int), max_coarse_history=99),
            "legal: 36..36",
        ),
        (lambda g: g.generate_fine(np.zeros((8, 4), dtype=int)), r"legal: \[1..7, T\]"),
        (lambda g: g.generate_fine(np.full((2, 4), 0.5)), "must be whole numbers"),
        (lambda g: g.codec_decode(np.full((2, 4), 32)), "legal: 0..31"),
        (lambda g: g.codec_decode(np.zeros((2, 0), dtype=int)), "fine_tokens has shape"),
        (lambda g: g.generate_text_semantic("Hi.", temp=-1), "temperature is -1"),
    ],
)
def test_S11_S12_S13_arguments_are_checked(
    tiny_generation: ModuleType, call: object, message: str
) -> None:
    with pytest.raises(ParamError, match=message):
        call(tiny_generation)  # type: ignore[operator]


def test_S13_two_codebooks_decode_too(tiny_generation: ModuleType) -> None:
    waveform = tiny_generation.codec_decode(np.zeros((2, 5), dtype=int))
    assert waveform.shape == (5 * 320,)
    assert waveform.dtype == np.float32
