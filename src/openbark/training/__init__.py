"""Training: data, losses and the loop that makes the checkpoints. Needs torch."""

from __future__ import annotations

__all__: list[str] = []
