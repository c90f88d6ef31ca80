"""What the numbers of a config are held to. Standard library only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from openbark.errors import CheckpointCorruptError

__all__ = ["LARGEST", "MOST_REPEATS", "check_between", "check_numbers", "require"]


def require(condition: bool, message: str) -> None:
    """Raise CheckpointCorruptError unless the condition holds."""
    if not condition:
        raise CheckpointCorruptError(f"config: {message}")


MOST_REPEATS = 1024
"""Layers or codebooks: a file that claims more is damaged, and believing it would cost its claim in memory."""


LARGEST = 1 << 24
"""No size, rate or token of a model is larger: a file that claims it is damaged, and would cost its claim in memory."""


def check_between(
    part: str, config: Any, low: float, high: float, names: Collection[str] | None = None
) -> None:
    """The numbers of a config, or those of `names`, are from `low` to `high`; NaN is not."""
    for item in fields(config):
        value = getattr(config, item.name)
        if type(value) in (int, float) and (names is None or item.name in names):
            shown = value if abs(value) < 1e12 or value != value else "out of all bounds"
            require(
                low <= value <= high, f"{part}{item.name} is {shown}; allowed: {low:g} to {high:g}"
            )


def check_numbers(part: str, config: Any, repeats: Collection[str], least: int = 1) -> None:
    """Whole numbers of a config are positive; those that say how often something is repeated are from
    `least` to MOST_REPEATS."""
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name in repeats:
            check_between(part, config, least, MOST_REPEATS, (item.name,))
        elif type(value) is int:
            require(value > 0, f"{part}{item.name} must be positive")
    check_between(part, config, 0, LARGEST)
