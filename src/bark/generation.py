"""`bark.generation` is `openbark.compat.suno.generation`, the module itself: what a script assigns there counts."""

from __future__ import annotations

import sys

from openbark.compat.suno import generation

__all__: list[str] = []

sys.modules[__name__] = generation
