"""A speech request from its fields to its bytes: checked, admitted, spoken, encoded. Knows no routes."""

from __future__ import annotations

__all__: list[str] = []
