"""Models on a hub: fetched, listed and uploaded."""

from __future__ import annotations

__all__: list[str] = []
