"""Suno's `bark`, so that its scripts run unedited: every name is one of `openbark.compat.suno`."""

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

_MODULES = ("api", "cli", "generation", "model", "model_fine")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"bark.{name}")
    if name in __all__:
        return getattr(import_module("openbark.compat.suno"), name)
    raise AttributeError(f"module 'bark' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
