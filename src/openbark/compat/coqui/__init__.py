"""Coqui TTS's Bark under our roof: `TTS`, `BarkConfig` and `Bark`. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openbark.compat.coqui.api import TTS
    from openbark.compat.coqui.config import BarkAudioConfig, BarkConfig
    from openbark.compat.coqui.model import Bark

__all__ = ["TTS", "Bark", "BarkAudioConfig", "BarkConfig"]

_HOMES = MappingProxyType(
    {"TTS": "api", "Bark": "model", "BarkAudioConfig": "config", "BarkConfig": "config"}
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'openbark.compat.coqui' has no attribute {name!r}")
    return getattr(import_module(f"openbark.compat.coqui.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
