"""One contestant of a benchmark: how it is loaded, and how it makes the clip of a workload."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work timed by itself beside what the machine did at best just before and after.

    limit: of `unit` (GB/s or GOP/s), as probed; share: achieved over limit.
    """

    milliseconds: float
    rate: float
    limit: float
    unit: str

    @property
    def share(self) -> float:
        """Achieved over limit."""
        return self.rate / self.limit


@dataclass(frozen=True, slots=True)
class Round:
    """One clip. timings: wall seconds of each stage; n_semantic, n_frames: what was made."""

    timings: dict[str, float]
    n_semantic: int
    n_frames: int


class Contestant(Protocol):
    """Loaded when made; one round per call."""

    @property
    def description(self) -> str:
        """What computes, in one line."""
        ...

    @property
    def dtype(self) -> str:
        """Precision of the weights."""
        ...

    def run(self, seed: int) -> Round:
        """Make the clip."""
        ...


def peak_megabytes() -> float:
    """The most memory this process has held, in MB of 10^6 bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
