"""Long texts and scripts: planned as pieces, spoken by an engine, joined to one waveform."""

from __future__ import annotations

__all__: list[str] = []
