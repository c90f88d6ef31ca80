"""HTTP: who may ask, the routes, what an answer looks like, and the web page."""

from __future__ import annotations

__all__: list[str] = []
