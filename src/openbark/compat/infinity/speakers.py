"""Voices in Bark Infinity's words: where they are looked for, and their names (docs/parity.md I1)."""

from __future__ import annotations

from pathlib import Path

from openbark.api import Bark
from openbark.compat.infinity.loading import loaded_bark
from openbark.compat.infinity.options import load_all_defaults
from openbark.compat.suno.history import find_history
from openbark.voices.library import VoiceLibrary, user_folders
from openbark.voices.voice import Voice, VoiceLike

VALID_HISTORY_PROMPT_DIRS = (
    "bark/assets/prompts/",
    "bark_infinity/assets/prompts/",
    "custom_speakers/",
)
"""Folders of the working directory whose voices are known by name, after the model's and the user's own."""


def known_voices() -> VoiceLibrary:
    """The user's voices and those of the working directory; no model's."""
    return VoiceLibrary([*user_folders(), *map(Path, VALID_HISTORY_PROMPT_DIRS)])


def find_speaker(history_prompt: VoiceLike | None, bark: Bark) -> Voice | None:
    """The voice that a history prompt means, checked against the model: a name of the model's, the user's or
    the working directory's, a path, or whatever Suno takes (S39). Raises VoiceError."""
    if isinstance(history_prompt, str) and history_prompt not in bark.voices:
        nearby = VoiceLibrary(map(Path, VALID_HISTORY_PROMPT_DIRS))
        if history_prompt in nearby:
            return bark.find_voice(nearby.get(history_prompt))
    return find_history(history_prompt, bark)


def list_speakers(bark: Bark | None = None) -> list[str]:
    """Names of the voices that the model can be given."""
    speaker = bark or loaded_bark(load_all_defaults())
    return sorted({*speaker.voices, *VoiceLibrary(map(Path, VALID_HISTORY_PROMPT_DIRS))})
