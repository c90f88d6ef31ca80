"""`bark.model_fine` is `openbark.compat.suno.model`, the module itself: what a script assigns there counts."""

from __future__ import annotations

import sys

from openbark.compat.suno import model

__all__: list[str] = []

sys.modules[__name__] = model
