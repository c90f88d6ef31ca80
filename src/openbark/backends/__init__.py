"""The numbers: implementations of one small protocol (`openbark.backends.base`)."""

from __future__ import annotations

__all__: list[str] = []
