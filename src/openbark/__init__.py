"""OpenBark: the Bark text-to-speech cascade as one complete system.

Public names are imported from here and load on first use, so that `import openbark` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.config import BarkConfig
    from openbark.errors import (
        AudioError,
        BusyError,
        CancelledError,
        CheckpointCorruptError,
        CheckpointError,
        CheckpointNotFoundError,
        CheckpointUnsafeError,
        CheckpointUnsupportedError,
        DeadlineError,
        DeviceError,
        InputError,
        MissingExtraError,
        OpenBarkError,
        ParamError,
        TextError,
        TrainingError,
        VoiceError,
    )
    from openbark.longform.options import LongFormOptions, Pauses
    from openbark.params import GenerationParams, SamplingParams
    from openbark.result import Clip, ClipTokens, ModelOrigin, Segment
    from openbark.speech.options import ScriptOptions, SpeechOptions
    from openbark.voices.library import VoiceLibrary
    from openbark.voices.voice import Voice

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "Bark",
    "BarkConfig",
    "BusyError",
    "CancelledError",
    "CheckpointCorruptError",
    "CheckpointError",
    "CheckpointNotFoundError",
    "CheckpointUnsafeError",
    "CheckpointUnsupportedError",
    "Clip",
    "ClipTokens",
    "DeadlineError",
    "DeviceError",
    "GenerationParams",
    "InputError",
    "LongFormOptions",
    "MissingExtraError",
    "ModelOrigin",
    "OpenBarkError",
    "ParamError",
    "Pauses",
    "SamplingParams",
    "ScriptOptions",
    "Segment",
    "SpeechOptions",
    "TextError",
    "TrainingError",
    "Voice",
    "VoiceError",
    "VoiceLibrary",
    "__version__",
]

_HOMES = (
    ("openbark.api", ("Bark",)),
    ("openbark.config", ("BarkConfig",)),
    ("openbark.longform.options", ("LongFormOptions", "Pauses")),
    ("openbark.params", ("GenerationParams", "SamplingParams")),
    ("openbark.result", ("Clip", "ClipTokens", "ModelOrigin", "Segment")),
    ("openbark.speech.options", ("ScriptOptions", "SpeechOptions")),
    ("openbark.voices.library", ("VoiceLibrary",)),
    ("openbark.voices.voice", ("Voice",)),
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'openbark' has no attribute {name!r}")
    home = next((module for module, names in _HOMES if name in names), "openbark.errors")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
