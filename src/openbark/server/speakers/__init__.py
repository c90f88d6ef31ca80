"""What speaks: a loaded model, alone or under watch. Knows neither requests nor HTTP."""

from __future__ import annotations

__all__: list[str] = []
