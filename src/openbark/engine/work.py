"""The work items that a sequence yields (`engine.stages`) and a runner executes (`engine.runner`)."""

from __future__ import annotations

from dataclasses import dataclass

from openbark.params import SamplingParams
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt
from openbark.types import Tokens


@dataclass(frozen=True, slots=True, eq=False)
class Prefill:
    """Read a prompt into the sequence's cache of a causal stage, replacing its content. Result: None."""

    stage: Stage
    prompt: Prompt


@dataclass(frozen=True, slots=True, eq=False)
class Decode:
    """Sample tokens number `first_step`.. of a stage: at most `n_steps`, and at least one unless the stage ends.
    Result: `backends.base.Drawn`."""

    stage: Stage
    sampling: SamplingParams
    first_step: int
    n_steps: int
    allow_early_stop: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class FineStep:
    """Sample codebook k at frames `first`.. of a window of codes [K, N]; `first` is frame `first_frame` of the canvas
    (`stages.fine`). Result: codes [N - first]."""

    codes: Tokens
    k: int
    first: int
    first_frame: int
    sampling: SamplingParams


@dataclass(frozen=True, slots=True, eq=False)
class CodecDecode:
    """Codes [K, F] to samples [L].

    streamed: the codes continue those of the sequence's earlier items, and the samples are those known by now, often
    none at first; last: no codes follow.
    """

    codes: Tokens
    streamed: bool = False
    last: bool = True


Work = Prefill | Decode | FineStep | CodecDecode
