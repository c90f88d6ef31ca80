"""Fill the fine codebooks of known coarse codes, as inference would: material for tuning the decoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS, GenerationParams
from openbark.stages.fine import choose_fine, fine_canvas, fine_windows
from openbark.stages.sampling import Noise


def predict_fine(
    model: torch.nn.Module,
    config: BarkConfig,
    codes: NDArray[np.int16],
    defaults: GenerationParams,
    seed: int,
) -> NDArray[np.int16]:
    """Codes [K, F]: the coarse ones of `codes` kept, the rest drawn from the fine model without a voice."""
    sampling = GenerationParams().resolve(defaults).fine or SUNO_PARAMS.fine
    if sampling is None:
        raise TypeError("Suno's own parameters name every stage")
    n_coarse = config.coarse_rules.n_codebooks
    canvas = fine_canvas(codes[:n_coarse].astype(np.int64), None, config)
    noise = Noise(seed)
    for window in fine_windows(canvas, config):
        for k in range(n_coarse, config.fine_rules.n_codebooks):
            seen = torch.from_numpy(canvas.codes[None, :, window.start : window.stop].copy())
            with torch.inference_mode():
                logits = model(seen, k)[0, window.fill - window.start :].float().numpy()
            canvas.codes[k, window.fill : window.stop] = choose_fine(
                logits, k, window.fill, sampling, noise, config
            )
    return canvas.result().astype(np.int16)
