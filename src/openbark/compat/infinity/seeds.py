"""Seeds of segments, in place of the process-wide seeding of upstream's `set_seed` (docs/parity.md I4)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openbark.errors import ParamError
from openbark.params import MAX_SEED


@dataclass(frozen=True, slots=True)
class SeedSource:
    """Where each segment's seed comes from: the same for all with a step of 0, else the next numbers."""

    seed: int
    step: int = 0

    def of_segment(self, index: int) -> int:
        """Seed of the segment number `index`."""
        return (self.seed + index * self.step) % (MAX_SEED + 1)


def set_seed(seed: int = 0) -> SeedSource:
    """A source that gives every segment this seed; 0 and -1 draw a random one. Raises ParamError.

    Upstream seeds numpy, random and torch for the whole process and switches torch's algorithms; here nothing
    outside the returned object changes: hand its numbers to `seed=`.
    """
    if seed in (0, -1):
        return SeedSource(secrets.randbits(32))
    if not 0 <= seed <= MAX_SEED:
        raise ParamError(f"seed is {seed}; allowed: 1..{MAX_SEED}, or 0 and -1 for a random one")
    return SeedSource(seed)


def seed_source(values: Mapping[str, Any]) -> SeedSource:
    """What the options `seed` and `single_starting_seed` ask for. Raises ParamError for both at once."""
    if values["single_starting_seed"] is not None:
        if values["seed"] is not None:
            raise ParamError("give seed or single_starting_seed, one of them")
        return SeedSource(set_seed(values["single_starting_seed"]).seed, 1)
    if values["seed"] is not None:
        return set_seed(values["seed"])
    return SeedSource(secrets.randbits(32), 1)
