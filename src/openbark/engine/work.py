"""What a row wants done next. Rows say it (`engine.rows`), runners do it (`engine.runner`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openbark.params import SamplingParams
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

__all__ = ["Decode", "DecodePart", "Draw", "FinePass", "Read", "Tokens", "Work"]

Tokens = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Read a prompt into the row's cache of a causal stage, in place of what was there. Gives None."""

    stage: Stage
    prompt: Prompt


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Draw tokens number `first_step`.. of the request, `n_steps` at most and at least one unless the stage
    ends. Gives `backends.base.Drawn`."""

    stage: Stage
    sampling: SamplingParams
    first_step: int
    n_steps: int
    allow_early_stop: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class FinePass:
    """Draw codebook k at frames `first`.. of a window of codes [K, N], which are frames `first_frame`.. of
    the canvas (docs/parity.md S38). Gives the codes [N - first]."""

    codes: Tokens
    k: int
    first: int
    first_frame: int
    sampling: SamplingParams


@dataclass(frozen=True, slots=True, eq=False)
class Decode:
    """Codes [K, F] to a waveform [L]."""

    codes: Tokens


@dataclass(frozen=True, slots=True, eq=False)
class DecodePart:
    """Codes [K, F] that follow those of the row's earlier parts; `last` where none come after. Gives the samples
    [L] that are now known, often none at first."""

    codes: Tokens
    last: bool


Work = Read | Draw | FinePass | Decode | DecodePart
