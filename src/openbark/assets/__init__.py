"""The embedded model: finds its folder inside the installed package, and knows nothing else of it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from openbark.errors import CheckpointNotFoundError

__all__ = ["EMBEDDED_NAME", "embedded_directory", "has_embedded"]

EMBEDDED_NAME = "embedded"
"""The name under which users ask for the model inside the package."""

_FOLDER = "embedded"
_MARKER = "config.json"


def embedded_directory() -> Path:
    """Folder of the embedded checkpoint. Raises CheckpointNotFoundError when this installation has none."""
    folder = files(__package__) / _FOLDER
    if not isinstance(folder, Path) or not (folder / _MARKER).is_file():
        raise CheckpointNotFoundError(
            "this installation of openbark carries no embedded model "
            f"(looked for {_FOLDER}/{_MARKER} in the package's assets); "
            "reinstall openbark, or name a checkpoint folder"
        )
    return folder


def has_embedded() -> bool:
    """Whether the embedded model is here."""
    try:
        embedded_directory()
    except CheckpointNotFoundError:
        return False
    return True
