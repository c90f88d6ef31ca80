"""`bark.api`: text to audio in one call, under Suno's names (docs/parity.md S1-S4)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.compat.suno.defaults import Unset
from openbark.compat.suno.generation import (
    _load_history_prompt,
    codec_decode,
    generate_coarse,
    generate_fine,
    generate_text_semantic,
)
from openbark.compat.suno.history import HistoryPrompt, save_prompt
from openbark.types import Waveform

FullGeneration = dict[str, NDArray[Any]]
"""`semantic_prompt` [T], `coarse_prompt` [2, F], `fine_prompt` [8, F]."""

_TEMP = Unset(0.7)


def text_to_semantic(
    text: str,
    history_prompt: HistoryPrompt | None = None,
    temp: float = _TEMP,
    silent: bool = False,
) -> NDArray[np.int64]:
    """Semantic tokens [T] of a text (S2). Raises TextError, VoiceError, ParamError."""
    return generate_text_semantic(
        text, history_prompt=history_prompt, temp=temp, silent=silent, use_kv_caching=True
    )


def semantic_to_waveform(
    semantic_tokens: Any,
    history_prompt: HistoryPrompt | None = None,
    temp: float = _TEMP,
    silent: bool = False,
    output_full: bool = False,
) -> Waveform | tuple[FullGeneration, Waveform]:
    """Waveform of semantic tokens [T], with `output_full` after the dictionary of all tokens (S3). `temp` is
    the coarse stage's; the fine stage has Suno's 0.5, or the checkpoint's own temperature. Raises TextError, VoiceError, ParamError."""
    history_prompt = _looked_up(history_prompt)
    coarse = generate_coarse(
        semantic_tokens,
        history_prompt=history_prompt,
        temp=temp,
        silent=silent,
        use_kv_caching=True,
    )
    fine = generate_fine(coarse, history_prompt=history_prompt)
    waveform = codec_decode(fine)
    if not output_full:
        return waveform
    full = {
        "semantic_prompt": np.asarray(semantic_tokens),
        "coarse_prompt": coarse,
        "fine_prompt": fine,
    }
    return full, waveform


def generate_audio(
    text: str,
    history_prompt: HistoryPrompt | None = None,
    text_temp: float = _TEMP,
    waveform_temp: float = _TEMP,
    silent: bool = False,
    output_full: bool = False,
) -> Waveform | tuple[FullGeneration, Waveform]:
    """Waveform of a text, with `output_full` after the dictionary of all tokens (S1). Raises TextError,
    VoiceError, ParamError."""
    history_prompt = _looked_up(history_prompt)
    semantic = text_to_semantic(text, history_prompt, text_temp, silent)
    return semantic_to_waveform(semantic, history_prompt, waveform_temp, silent, output_full)


def save_as_prompt(filepath: str | os.PathLike[str], full_generation: Mapping[str, Any]) -> None:
    """Write the dictionary of `output_full` as an `.npz` that `history_prompt` takes (S4). Raises
    VoiceError."""
    save_prompt(filepath, full_generation)


def _looked_up(history_prompt: HistoryPrompt | None) -> HistoryPrompt | None:
    """The arrays of a history prompt, so that its file is read, and a stand-in named, once for all stages."""
    return None if history_prompt is None else _load_history_prompt(history_prompt)
