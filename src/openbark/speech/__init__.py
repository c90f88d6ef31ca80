"""One text from every entry to the engine: its options, its plan, and the job that speaks it."""

from __future__ import annotations

__all__: list[str] = []
