"""How a command-line process behaves on cores that others use too."""

from __future__ import annotations

import os

__all__ = ["share_cores"]


def share_cores() -> None:
    """Let idle OpenMP threads sleep instead of spinning; call before torch is imported.

    Small matrices make thousands of short parallel regions. Where another process wants the cores,
    spinning at the end of each costs whole scheduler slices: 40 times the wall time was measured on two
    busy cores. A user's own OMP_WAIT_POLICY stands.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
