"""What a server can do without: batches, consents, other protocols, a cluster of machines."""

from __future__ import annotations

__all__: list[str] = []
