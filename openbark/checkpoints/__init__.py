"""Weights on disk: the Hugging Face folder layout, read, checked and written. No torch anywhere."""

from __future__ import annotations

from openbark.checkpoints.checkpoint import Checkpoint, open_checkpoint
from openbark.checkpoints.random import random_checkpoint
from openbark.checkpoints.save import save_checkpoint
from openbark.checkpoints.shapes import expected_shapes

__all__ = [
    "Checkpoint",
    "expected_shapes",
    "open_checkpoint",
    "random_checkpoint",
    "save_checkpoint",
]
