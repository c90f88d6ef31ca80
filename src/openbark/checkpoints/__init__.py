"""Weights on disk: Hugging Face folders and Suno's files, read, checked, converted, fetched. No torch anywhere."""

from __future__ import annotations

from openbark.checkpoints.checkpoint import Checkpoint, open_checkpoint
from openbark.checkpoints.convert import convert_to_hf, convert_to_suno, ready_checkpoint
from openbark.checkpoints.layouts.shapes import expected_shapes
from openbark.checkpoints.random import checkpoint_of_random_weights, random_checkpoint
from openbark.checkpoints.save import save_checkpoint

__all__ = [
    "Checkpoint",
    "checkpoint_of_random_weights",
    "convert_to_hf",
    "convert_to_suno",
    "expected_shapes",
    "open_checkpoint",
    "random_checkpoint",
    "ready_checkpoint",
    "save_checkpoint",
]
