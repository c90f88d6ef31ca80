"""Readable reference models in PyTorch: the truth other backends are tested against, the GPU, training."""

from __future__ import annotations

__all__: list[str] = []
