"""`console` of Bark Infinity (docs/parity.md I1): prints plain text, without the colours of upstream's."""

from __future__ import annotations

import sys


class Console:
    """What scripts call: `console.print(...)`."""

    def print(self, *objects: object, sep: str = " ", end: str = "\n") -> None:
        """Write to stdout, as the built-in of this name."""
        sys.stdout.write(sep.join(map(str, objects)) + end)


console = Console()
"""Holds no state."""
