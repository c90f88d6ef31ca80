"""What the numbers of a config are held to. Standard library only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from openbark.errors import CheckpointCorruptError

__all__ = ["MOST_REPEATS", "check_numbers", "require"]


def require(condition: bool, message: str) -> None:
    """Raise CheckpointCorruptError unless the condition holds."""
    if not condition:
        raise CheckpointCorruptError(f"config: {message}")


MOST_REPEATS = 1024
"""Layers or codebooks: a file that claims more is damaged, and believing it would cost its claim in memory."""


def check_numbers(part: str, config: Any, repeats: Collection[str], least: int = 1) -> None:
    """Whole numbers of a config are positive; those that say how often something is repeated are from
    `least` to MOST_REPEATS."""
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name in repeats:
            legal = f"{least}..{MOST_REPEATS}"
            require(least <= value <= MOST_REPEATS, f"{part}{item.name} is {value}; legal: {legal}")
        elif type(value) is int:
            require(value > 0, f"{part}{item.name} must be positive, is {value}")
