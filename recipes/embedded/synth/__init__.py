"""The synthetic corpus: sentences, speech from flite, and the labels to train on."""

from __future__ import annotations

__all__: list[str] = []
