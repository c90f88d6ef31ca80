"""Other people's names: one module or package for each system whose scripts run here."""

from __future__ import annotations

__all__: list[str] = []
