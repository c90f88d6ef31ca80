"""The compiled CPU engine: C++ sources in `src`, their bindings, packed weights, the backend."""

from __future__ import annotations

__all__: list[str] = []
