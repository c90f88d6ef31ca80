"""Voices: the three token arrays a request continues from, their files, and folders of them."""

from __future__ import annotations

__all__: list[str] = []
