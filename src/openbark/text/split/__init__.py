"""Text to pieces that a model can say in one go, cut at the strongest boundary that keeps the budget."""

from __future__ import annotations

from openbark.text.split.pieces import Boundary, split_text

__all__ = ["Boundary", "split_text"]
