"""What happens to text before it is token ids: scripts, splitting, normalisation and tokenisation."""

from __future__ import annotations

__all__: list[str] = []
