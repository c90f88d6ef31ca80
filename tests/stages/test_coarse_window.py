"""Other coarse windows than the checkpoint's own: what is legal, and what they change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openbark.config import BarkConfig
from openbark.errors import ParamError
from openbark.stages.coarse import (
    CoarseWindow,
    coarse_context,
    coarse_window_prompt,
    with_coarse_window,
)


def _window(config: BarkConfig) -> tuple[int, int]:
    return config.coarse_rules.max_history, config.coarse_rules.sliding_window


@pytest.mark.parametrize("window", [None, "stock"])
def test_stock_is_the_config_itself(window: CoarseWindow | None) -> None:
    config = BarkConfig()
    assert with_coarse_window(config, window) is config
    assert _window(config) == (630, 60)


def test_wide_fills_the_context_exactly() -> None:
    config = with_coarse_window(BarkConfig(), "wide")
    assert _window(config) == (630, 138)
    context = coarse_context(
        np.zeros(700, dtype=np.int64), np.zeros(300, np.int64), np.zeros((2, 500), np.int64), config
    )
    prompt = coarse_window_prompt(context, np.zeros(0, dtype=np.int64), config)
    assert (
        len(prompt.ids) == 256 + 1 + 626
    )  # 628 for 209 semantic tokens; two are cut to line the voice up (S37)
    later = coarse_window_prompt(context, np.zeros(138, dtype=np.int64), config)
    # All drawn tokens but the last are read.
    assert len(later.ids) + 138 - 1 == config.coarse.block_size


@pytest.mark.parametrize("window", [(480, 240), (300, 408), (2, 2), (630, 138)])
def test_windows_by_number(window: tuple[int, int]) -> None:
    config = with_coarse_window(BarkConfig(), window)
    assert _window(config) == window
    assert replace(config, coarse_rules=BarkConfig().coarse_rules) == BarkConfig()


@pytest.mark.parametrize("window", [(630, 140), (0, 60), (631, 60), (630, 61), "huge", (1, 2, 3)])
def test_impossible_windows_are_refused(window: CoarseWindow) -> None:
    with pytest.raises(ParamError, match="allowed"):
        with_coarse_window(BarkConfig(), window)
