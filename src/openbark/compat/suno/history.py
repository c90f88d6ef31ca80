"""History prompts as Suno's scripts give them: names, paths, dictionaries (docs/parity.md S39, S40), and writing them (S4).

Where a script names one of Suno's presets and the model has voices of its own instead, one of those stands
in, always the same, with one line that says so. Knows no loaded models but the one it is given.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.api import Bark
from openbark.errors import VoiceError
from openbark.files import write_atomically
from openbark.voices.library import VOICES_VARIABLE
from openbark.voices.npz import check_keys, check_target
from openbark.voices.presets import PRESET_LANGUAGES, PRESET_NAMES, stand_in
from openbark.voices.voice import Voice

HistoryPrompt = str | os.PathLike[str] | Mapping[str, Any] | Voice
"""A preset's name, the path of an `.npz`, Suno's dictionary or what `numpy.load` makes of an `.npz`, or a
Voice."""

SUPPORTED_LANGS = list(PRESET_LANGUAGES)
"""Languages of Suno's models (S17)."""

ALLOWED_PROMPTS = set(PRESET_NAMES)
"""Names of Suno's presets, 261 of them (S40)."""


def find_history(history_prompt: HistoryPrompt | None, bark: Bark) -> Voice | None:
    """The voice that a history prompt means, checked against the model.

    Raises VoiceError, which is a ValueError: for an unknown name, a form that is none, a file or arrays
    that are no voice, and a voice that does not fit the model.
    """
    if history_prompt is None:
        return None
    if isinstance(history_prompt, (Voice, os.PathLike)):
        return bark.find_voice(history_prompt)
    if isinstance(history_prompt, str):
        return bark.find_voice(_stand_in(history_prompt, bark))
    if isinstance(history_prompt, Mapping):
        return bark.find_voice(_arrays(history_prompt))
    raise VoiceError(
        "history prompt format unrecognized: it must be a preset's name, the path of an .npz, or a "
        f"dictionary of three arrays, not {type(history_prompt).__name__}"
    )


def _arrays(given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the members now: `numpy.load` reads on access, and refuses pickles only then."""
    check_keys(given, "the history prompt")
    try:
        return {key: given[key] for key in given if key.endswith("_prompt")}
    except (ValueError, OSError) as error:
        raise VoiceError(f"the history prompt cannot be read: {error}") from error


def _stand_in(name: str, bark: Bark) -> str:
    if name in bark.voices or name not in ALLOWED_PROMPTS:
        return name
    chosen = stand_in(name, bark.voices, bark.config.name)
    if chosen is None:
        raise VoiceError(
            f"history prompt not found: {name!r} is one of Suno's presets, and {bark.config.name} has no "
            f"voices; set {VOICES_VARIABLE} to the folder of the presets (bark/assets/prompts in Suno's "
            "repository), or give the path of an .npz"
        )
    return chosen


def save_prompt(filepath: str | os.PathLike[str], full_generation: Mapping[str, Any]) -> None:
    """Write the dictionary that `output_full=True` gives as a history prompt, all of its arrays, whole or
    not at all (S4). Raises VoiceError for another suffix, missing arrays, or a file that cannot be written.
    """
    if not isinstance(filepath, (str, os.PathLike)):
        raise VoiceError(f"filepath is a {type(filepath).__name__}; allowed: the path of an .npz")
    target = Path(filepath).expanduser()
    check_target(target)
    if not isinstance(full_generation, Mapping):
        raise VoiceError(
            "full_generation must be the dictionary of generate_audio(..., output_full=True), is "
            f"{type(full_generation).__name__}"
        )
    check_keys(full_generation, "full_generation")
    arrays: dict[str, NDArray[Any]] = {
        key: np.asarray(value) for key, value in full_generation.items()
    }
    pickled = [key for key, array in arrays.items() if array.dtype.hasobject]
    if pickled:
        raise VoiceError(f"full_generation[{pickled[0]!r}] is not an array of numbers; take it out")
    try:
        write_atomically(target, _npz(arrays))
    except OSError as error:
        raise VoiceError(f"cannot write {target}: {error.strerror or error}") from error


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
