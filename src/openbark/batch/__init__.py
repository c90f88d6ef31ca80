"""Many texts to audio on disk, once each, whatever is killed meanwhile: plan, shards, commits, engines."""

from __future__ import annotations

__all__: list[str] = []
