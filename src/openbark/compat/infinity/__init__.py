"""The names of Bark Infinity (docs/parity.md I1-I6, I8): `from openbark.compat.infinity import generate_audio_long`.

The command line is `openbark infinity`; both read the same table, `options.OPTIONS`. What became of each option
is in docs/migrating-infinity.md. Names load on first use.
"""

from __future__ import annotations

import logging
from importlib import import_module
from types import MappingProxyType
from typing import Any

__all__ = [
    "OPTIONS",
    "SAMPLE_RATE",
    "VALID_HISTORY_PROMPT_DIRS",
    "Option",
    "SeedSource",
    "console",
    "doctor_random_speaker_surgery",
    "estimate_spoken_time",
    "generate_audio",
    "generate_audio_barki",
    "generate_audio_long",
    "generate_coarse_report",
    "generate_fine_report",
    "generate_text_semantic_report",
    "get_default_values",
    "history_prompt_detailed_report",
    "history_prompt_is_valid",
    "list_speakers",
    "load_all_defaults",
    "logger",
    "play_superpack_track",
    "preload_models",
    "render_npz_samples",
    "resize_semantic_history",
    "save_as_prompt",
    "semantic_to_waveform",
    "set_seed",
    "text_to_semantic",
]

logger = logging.getLogger("openbark")

_HERE = "openbark.compat.infinity"
_HOMES = MappingProxyType(
    {
        "openbark.compat.suno": (
            "SAMPLE_RATE",
            "generate_audio",
            "save_as_prompt",
            "semantic_to_waveform",
            "text_to_semantic",
        ),
        f"{_HERE}.plain_console": ("console",),
        f"{_HERE}.loading": ("preload_models",),
        f"{_HERE}.generation": ("generate_audio_barki", "generate_audio_long"),
        f"{_HERE}.options": ("OPTIONS", "Option", "get_default_values", "load_all_defaults"),
        f"{_HERE}.rendering": (
            "doctor_random_speaker_surgery",
            "play_superpack_track",
            "render_npz_samples",
            "resize_semantic_history",
        ),
        f"{_HERE}.reports": (
            "generate_coarse_report",
            "generate_fine_report",
            "generate_text_semantic_report",
            "history_prompt_detailed_report",
            "history_prompt_is_valid",
        ),
        f"{_HERE}.seeds": ("SeedSource", "set_seed"),
        f"{_HERE}.speakers": ("VALID_HISTORY_PROMPT_DIRS", "list_speakers"),
        f"{_HERE}.text_processing": ("estimate_spoken_time",),
    }
)


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {_HERE!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
