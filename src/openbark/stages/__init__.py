"""The rules of Bark's stages in plain numpy: prompt layouts, windows, allowed tokens, stops, sampling.

Backends and training call these, so each rule exists once. Nothing here computes logits.
"""

from __future__ import annotations

__all__: list[str] = []
