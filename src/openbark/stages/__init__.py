"""The rules of Bark's stages in plain numpy: prompt layouts, windows, allowed tokens, stops, sampling.

Backends and training call these; nobody re-types them. Nothing here knows how logits are computed.
"""

from __future__ import annotations

__all__: list[str] = []
