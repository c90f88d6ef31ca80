"""The clips that a server's benchmark asks for: one model, many seeds, lengths that differ. Knows no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openbark.bench.workload import Workload, history_of, text_ids
from openbark.config import BarkConfig
from openbark.engine.request import Request
from openbark.params import SUNO_PARAMS, GenerationParams

_SHORTEST, _LONGEST = 0.6, 1.4


@dataclass(frozen=True, eq=False)
class Traffic:
    """Requests by number: number i is the same whenever it is asked for.

    They ignore the end token, so that weights without training speak as long as asked: from 0.6 to 1.4 times
    the workload's seconds.
    """

    workload: Workload
    config: BarkConfig

    def request(self, number: int) -> Request:
        """Request number `number`. Raises ParamError when the workload's seconds do not fit the model."""
        share = np.random.default_rng(number).uniform(_SHORTEST, _LONGEST)
        seconds = min(self.workload.seconds * share, self.config.max_seconds)
        length = replace(self.workload, seconds=seconds)
        limit = GenerationParams(
            max_semantic_tokens=length.n_semantic(self.config), allow_early_stop=False
        )
        return Request(
            text_tokens=np.roll(text_ids(self.config), number),
            params=limit.resolve(SUNO_PARAMS),
            seed=number,
            voice=history_of(self.workload, self.config),
        )
