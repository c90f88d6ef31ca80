"""Scripts and documents in several formats, read into script items."""

from __future__ import annotations

__all__: list[str] = []
