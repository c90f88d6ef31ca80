"""Runs requests: one after the other through the stages of a backend."""

from __future__ import annotations

__all__: list[str] = []
