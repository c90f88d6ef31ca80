"""The three arrays of a voice that fits the tiny Bark."""

from __future__ import annotations

import numpy as np

from openbark.config import BarkConfig


def coqui_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    fine = np.random.default_rng(seed).integers(0, BarkConfig.tiny().codebook_size, (8, 30))
    return {"semantic_prompt": np.arange(20), "coarse_prompt": fine[:2], "fine_prompt": fine}
