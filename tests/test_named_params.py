"""Settings by the names that requests, batch lines and command lines use."""

from __future__ import annotations

import pytest

from openbark.errors import ParamError
from openbark.params import GenerationParams


def test_named_values_take_the_place_of_the_model_s() -> None:
    own = GenerationParams().resolve(GenerationParams())
    found = own.with_named(
        {"temperature": 0.5, "coarse_temperature": 0.9, "min_eos_p": 0.1, "max_seconds": 3, "x": 1}
    )
    assert found.semantic is not None and found.coarse is not None and found.fine is not None
    assert (found.semantic.temperature, found.coarse.temperature) == (0.5, 0.9)
    assert (found.fine.temperature, found.semantic.min_eos_p) == (0.5, 0.1)
    assert own.fine is not None and found.fine.min_eos_p == own.fine.min_eos_p
    assert found.max_semantic_seconds == 3
    assert own.with_named({}) == own


def test_a_stage_that_is_left_to_the_checkpoint_stays_so_unless_it_is_named() -> None:
    found = GenerationParams().with_named({"fine_top_k": 3})
    assert found.coarse is None and found.semantic is None
    assert found.fine is not None and found.fine.top_k == 3


def test_an_error_names_the_stage() -> None:
    with pytest.raises(ParamError, match="coarse top_k"):
        GenerationParams().with_named({"coarse_top_k": 0})
