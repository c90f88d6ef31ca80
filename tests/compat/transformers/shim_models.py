"""A voice that fits the tiny model, and that model's text slots."""

from __future__ import annotations

from typing import Any

import numpy as np

SLOTS = 16


def codes() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 32, (8, 30))


def preset() -> dict[str, np.ndarray[Any, Any]]:
    return {"semantic_prompt": np.arange(20), "coarse_prompt": codes()[:2], "fine_prompt": codes()}
