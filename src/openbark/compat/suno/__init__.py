"""Suno's `bark` package under our roof; the top-level package `bark` passes these names on.

Only names and forms of calls are here; all work is `openbark`'s. Names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "SAMPLE_RATE",
    "generate_audio",
    "preload_models",
    "save_as_prompt",
    "semantic_to_waveform",
    "text_to_semantic",
]

_FROM_GENERATION = ("SAMPLE_RATE", "preload_models")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'openbark.compat.suno' has no attribute {name!r}")
    home = "generation" if name in _FROM_GENERATION else "api"
    return getattr(import_module(f"openbark.compat.suno.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
