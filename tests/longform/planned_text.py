"""A text, a tokenizer and voices for tests of plans and of what is made from them."""

from __future__ import annotations

import numpy as np

from openbark.config import BarkConfig
from openbark.longform.options import LongFormOptions
from openbark.voices.voice import Voice

__all__ = ["ANY", "CONFIG", "TEXT", "encode", "voice"]

CONFIG = BarkConfig.tiny()
TEXT = "One two three four. Five six seven. Eight nine ten! Eleven twelve?\n\nThe end of it."
ANY = LongFormOptions(min_seconds=0.0, retries=0)


def encode(text: str) -> tuple[str, np.ndarray]:
    """One token a word."""
    return text, np.arange(len(text.split()))


def voice(token: int = 7) -> Voice:
    """A voice of one token, named after it."""
    return Voice(
        np.full(60, token), np.full((2, 90), token), np.full((8, 90), token), name=f"v{token}"
    )
