"""`bark.cli` is `openbark.compat.suno.command_line`, the module itself: what a script assigns there counts."""

from __future__ import annotations

import sys

from openbark.compat.suno import command_line

__all__: list[str] = []

sys.modules[__name__] = command_line
