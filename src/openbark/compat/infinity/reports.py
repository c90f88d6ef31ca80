"""What is wrong with a voice, array by array, instead of an assertion (docs/parity.md I6).

Each report is a dictionary: valid, and messages that name the array, what was found and what is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from openbark.compat.infinity.speakers import known_voices
from openbark.config import BarkConfig
from openbark.errors import VoiceError
from openbark.voices.npz import ARRAY_KEYS
from openbark.voices.voice import Voice, VoiceLike

Report = dict[str, Any]
"""valid: bool; messages: list of texts."""


def generate_text_semantic_report(
    history_prompt: VoiceLike, token_samples: int = 3, config: BarkConfig | None = None
) -> Report:
    """What is wrong with semantic_prompt. token_samples: neighbours shown on each side of a bad token."""
    model = config or BarkConfig()
    found = _array_messages(
        _arrays(history_prompt),
        "semantic_prompt",
        None,
        model.semantic_rules.semantic_vocab_size,
        token_samples,
    )
    return _report(found)


def generate_coarse_report(
    history_prompt: VoiceLike, token_samples: int = 3, config: BarkConfig | None = None
) -> Report:
    """What is wrong with coarse_prompt, and with its length beside semantic_prompt."""
    model = config or BarkConfig()
    arrays = _arrays(history_prompt)
    rows = model.coarse_rules.n_codebooks
    found = _array_messages(arrays, "coarse_prompt", rows, model.codebook_size, token_samples)
    semantic = np.asarray(arrays.get("semantic_prompt", ()))
    if not found and semantic.ndim == 1 and len(semantic):
        ratio = round(np.asarray(arrays["coarse_prompt"]).shape[1] / len(semantic), 1)
        allowed = round(model.frames_per_semantic, 1)
        if ratio != allowed:
            found = [
                f"coarse_prompt has {ratio} frames for each semantic token; allowed: {allowed}"
            ]
    return _report(found)


def generate_fine_report(
    history_prompt: VoiceLike, token_samples: int = 3, config: BarkConfig | None = None
) -> Report:
    """What is wrong with fine_prompt."""
    model = config or BarkConfig()
    rows = model.fine_rules.n_codebooks
    arrays = _arrays(history_prompt)
    return _report(_array_messages(arrays, "fine_prompt", rows, model.codebook_size, token_samples))


def history_prompt_is_valid(
    history_prompt: VoiceLike | None, config: BarkConfig | None = None
) -> bool:
    """Whether a voice fits a model, Suno's by default."""
    return bool(history_prompt_detailed_report(history_prompt, config=config)["valid"])


def history_prompt_detailed_report(
    history_prompt: VoiceLike | None, token_samples: int = 3, config: BarkConfig | None = None
) -> Report:
    """What a voice holds, and everything that is wrong with it: valid, messages, and where it could be read
    semantic_tokens, coarse_shape, fine_shape, seconds."""
    model = config or BarkConfig()
    try:
        arrays = _arrays(history_prompt)
        parts = [
            report(arrays, token_samples, model)
            for report in (
                generate_text_semantic_report,
                generate_coarse_report,
                generate_fine_report,
            )
        ]
        messages = [message for part in parts for message in part["messages"]]
        voice = Voice.from_arrays(arrays) if not messages else None
        if voice is None:
            return _report(messages)
        shapes = {
            "semantic_tokens": len(voice.semantic),
            "coarse_shape": list(voice.coarse.shape),
            "fine_shape": list(voice.fine.shape),
            "seconds": round(voice.seconds(model), 2),
        }
        voice.validate(model)
    except VoiceError as error:
        return _report([str(error)])
    return _report([]) | shapes


def _report(messages: list[str]) -> Report:
    return {"valid": not messages, "messages": messages}


def _arrays(history_prompt: VoiceLike | None) -> Mapping[str, Any]:
    if isinstance(history_prompt, Mapping):
        return history_prompt
    if isinstance(history_prompt, (str, os.PathLike)):
        history_prompt = known_voices().get(history_prompt)
    if not isinstance(history_prompt, Voice):
        raise VoiceError(
            "a voice is a name, a path, a Voice or a dictionary of arrays, not "
            f"{type(history_prompt).__name__}"
        )
    return {key: getattr(history_prompt, field) for field, key in ARRAY_KEYS.items()}


def _array_messages(
    arrays: Mapping[str, Any], key: str, rows: int | None, size: int, token_samples: int
) -> list[str]:
    """What is wrong with one array: [T] where `rows` is None, else [rows, F], of tokens below `size`."""
    if key not in arrays:
        return [f"{key} is missing"]
    array = np.asarray(arrays[key])
    if array.dtype.kind not in "iu":
        return [f"{key} holds {array.dtype} values; allowed: whole numbers"]
    if array.ndim != (1 if rows is None else 2) or (rows is not None and len(array) != rows):
        allowed = "[T]" if rows is None else f"[{rows}, F]"
        return [f"{key} has shape {list(array.shape)}; allowed: {allowed}"]
    if array.size == 0:
        return [f"{key} is empty; it must hold some tokens"]
    wrong = np.argwhere((array < 0) | (array >= size))
    if not len(wrong):
        return []
    *row, at = wrong[0].tolist()
    line = array[row[0]] if row else array
    around = line[max(0, at - token_samples) : at + token_samples + 1].tolist()
    where = f"row {row[0]}, position {at}" if row else f"position {at}"
    return [f"{key} holds {line[at]} at {where} (around it: {around}); allowed: 0..{size - 1}"]
