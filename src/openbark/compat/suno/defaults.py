"""Suno's default temperatures, and what they mean for a checkpoint that was made for others.

At 0.7 the embedded model is unclear; it was made for 0.2. What a script writes is obeyed; what it leaves out
is the checkpoint's own, which for Suno's checkpoints is Suno's. Standard library only.
"""

from __future__ import annotations

from typing import TypeVar

Number = TypeVar("Number", float, float | None)


class Unset(float):
    """A default of Suno's that the caller left as it is. It is Suno's number in every other respect."""


def given_or_own(value: Number, own: Number) -> Number:
    """What the caller gave, or the checkpoint's own value where it was left out."""
    return own if isinstance(value, Unset) else value
