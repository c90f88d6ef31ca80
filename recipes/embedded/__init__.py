"""How the embedded model is made from nothing: a corpus, seven trained networks, a checkpoint.

`openbark train embedded` runs it in a clone of the repository, and so does `python -m recipes.embedded`.
"""

from __future__ import annotations

__all__ = ["LABELLED_PRESETS", "PRESETS", "STEPS"]

PRESETS = ("smoke", "cpu", "gpu", "voice-smoke", "voice")
LABELLED_PRESETS = ("voice-smoke", "voice")
"""Presets that train on a labelled corpus instead of one that the recipe speaks itself."""

STEPS = (
    "corpus",
    "codec",
    "semantic-tokenizer",
    "tokens",
    "semantic",
    "coarse",
    "fine",
    "decoder",
    "export",
)
"""The steps of a run, in order."""
