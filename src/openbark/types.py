"""Types that the whole package speaks in: arrays by what they hold, and the two callbacks of a request."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]
"""Token ids [T] or codes [K, F]."""

Codes = NDArray[np.integer]
"""Codes [K, F] of any whole-number type, as they come from outside."""

Logits = NDArray[np.floating]
"""Scores of the next token, [V] or one row for each sequence [B, V]."""

Waveform = NDArray[np.float32]
"""Mono samples [L] in -1 to 1."""

Cancel = Callable[[], bool] | threading.Event
"""True, or a set event, to stop; checked before every step."""

Progress = Callable[[str, float, float | None], None]
"""Called with (stage, seconds of audio done in it, seconds in all); None while the end is not known."""


def stopped(cancel: Cancel | None) -> bool:
    """Whether `cancel` asks to stop now."""
    if cancel is None:
        return False
    return cancel.is_set() if isinstance(cancel, threading.Event) else cancel()
