"""Measuring OpenBark beside other Barks on the same cores: what `openbark bench` runs."""

from __future__ import annotations

__all__: list[str] = []
