"""Text as people write it to the words a model reads, by rules."""

from __future__ import annotations

__all__: list[str] = []
