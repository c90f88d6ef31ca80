"""File formats that hold tensors: pickle, torch.save, zip, safetensors, JSON."""

from __future__ import annotations

__all__: list[str] = []
