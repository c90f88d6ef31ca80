"""`bark.api` is `openbark.compat.suno.api`, the module itself: what a script assigns there counts."""

from __future__ import annotations

import sys

from openbark.compat.suno import api

__all__: list[str] = []

sys.modules[__name__] = api
