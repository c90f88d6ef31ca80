"""Spoken pieces put together: one waveform, block by block, and where each piece is in it.

Knows no engine: pieces come from `openbark.engine.longform`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from openbark.audio.joining import Joiner
from openbark.engine.longform_options import LongFormOptions
from openbark.engine.plan import Plan, PlannedPiece
from openbark.engine.request import CascadeResult, Waveform
from openbark.stages.semantic import StopReason

__all__ = ["Advance", "AttemptReport", "Placed", "SpokenPiece", "join_pieces"]

Advance = Callable[[float, float], None]
"""Told (seconds of audio done, expected in all) after each piece."""


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """One attempt at a piece. stop_reason: None where it said nothing. seconds: from the first to the last
    sound. faults: why it was made again, or was not good enough."""

    seed: int
    stop_reason: StopReason | None
    seconds: float
    score: float
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SpokenPiece:
    """A piece and its audio.

    waveform: [L], trimmed and at its speed; [first, last): the speech in it, in samples. result: of the attempt
    that was kept; seed: its seed. voice: name of the voice it was given. attempts: all of them, in order.
    """

    piece: PlannedPiece
    waveform: Waveform
    first: int
    last: int
    result: CascadeResult
    seed: int
    voice: str | None
    attempts: tuple[AttemptReport, ...]
    score: float


@dataclass(frozen=True, eq=False)
class Placed:
    """Samples of the whole that are ready, and the piece that came with them, None for the rest at the end.

    first_sample, end_sample: where its speech is in the whole. late_seconds: how much later than its time a
    timed piece began; overrun_seconds: how much later than its time it was over.
    """

    block: Waveform
    spoken: SpokenPiece | None = None
    first_sample: int = 0
    end_sample: int = 0
    late_seconds: float = 0.0
    overrun_seconds: float = 0.0


def join_pieces(
    spoken: Iterator[SpokenPiece],
    plan: Plan,
    sample_rate: int,
    options: LongFormOptions,
    advance: Advance | None = None,
) -> Iterator[Placed]:
    """The pieces as one waveform, block by block; the last block comes without a piece.

    A timed piece waits for its time; one that comes late is said where it is, and how late is reported.
    """
    joiner = Joiner(sample_rate, options.crossfade_seconds)
    joiner.pause(plan.lead)
    for each in spoken:
        late = 0.0
        if each.piece.starts_at is not None:
            due = each.piece.starts_at - joiner.end / sample_rate
            late = max(0.0, -due)
            joiner.pause(max(0.0, due))
        block, begins = joiner.add(each.waveform)
        joiner.pause(each.piece.pause)
        end = begins + each.last
        stops_at = each.piece.stops_at
        overrun = 0.0 if stops_at is None else max(0.0, end / sample_rate - stops_at)
        yield Placed(block, each, begins + each.first, end, late, overrun)
        if advance is not None:
            advance(joiner.end / sample_rate, max(plan.seconds, joiner.end / sample_rate))
    yield Placed(joiner.finish())
