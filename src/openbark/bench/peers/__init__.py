"""The other Barks, each as its own users run it. The only place that imports them."""

from __future__ import annotations

__all__: list[str] = []
