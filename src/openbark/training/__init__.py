"""Training: data, losses and the loop that makes the checkpoints. Needs torch. Recipes are in `recipes/`."""

from __future__ import annotations

__all__: list[str] = []
