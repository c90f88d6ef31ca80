"""The command line: one file per command; anything heavy is imported inside the commands."""

from __future__ import annotations

__all__: list[str] = []
