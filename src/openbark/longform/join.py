"""Spoken pieces put together: one waveform, block by block, and where each piece is in it.

Knows no engine: pieces come from `openbark.longform.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from openbark.audio.edits import Stretcher
from openbark.audio.joining import Joiner
from openbark.engine.request import CascadeResult
from openbark.longform.options import LongFormOptions
from openbark.longform.plan import Plan, PlannedPiece
from openbark.stages.semantic import StopReason
from openbark.types import Waveform

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
        late = _wait_for(joiner, each.piece)
        yield from _silence(joiner)
        block, begins = joiner.add(each.waveform)
        joiner.pause(each.piece.pause)
        end = begins + each.last
        overrun = _overrun(each, end, sample_rate)
        yield Placed(block, each, begins + each.first, end, late, overrun)
        if advance is not None:
            advance(joiner.end / sample_rate, max(plan.seconds, joiner.end / sample_rate))
    yield from _silence(joiner)
    yield Placed(joiner.finish())


@dataclass(frozen=True, eq=False)
class PiecePart:
    """Samples [L] of a piece, the next ones."""

    piece: PlannedPiece
    samples: Waveform


class _Seam:
    """Puts the parts of one piece after another behind what is there."""

    def __init__(self, joiner: Joiner, piece: PlannedPiece) -> None:
        self._joiner = joiner
        self._stretcher = Stretcher(joiner.sample_rate, piece.rate)
        self._begins: int | None = None
        self.late = _wait_for(joiner, piece)

    @property
    def begins(self) -> int:
        """Where the piece begins in the whole."""
        return self._joiner.end if self._begins is None else self._begins

    def push(self, samples: Waveform) -> Waveform:
        """Samples of the whole that are ready."""
        return self._add(self._stretcher.push(samples))

    def finish(self) -> Waveform:
        """The last ones that nothing is needed for."""
        return self._add(self._stretcher.finish())

    def _add(self, speech: Waveform) -> Waveform:
        if len(speech) == 0:
            return speech
        if self._begins is not None:
            return self._joiner.extend(speech)
        block, self._begins = self._joiner.add(speech)
        return block


def join_parts(
    parts: Iterator[PiecePart | SpokenPiece],
    plan: Plan,
    sample_rate: int,
    options: LongFormOptions,
    advance: Advance | None = None,
) -> Iterator[Placed]:
    """`join_pieces` for pieces that come in parts, each followed by its piece: all but the fade to what follows is
    passed on at once."""
    joiner = Joiner(sample_rate, options.crossfade_seconds)
    joiner.pause(plan.lead)
    seam: _Seam | None = None
    for each in parts:
        if seam is None:
            seam = _Seam(joiner, each.piece)
            yield from _silence(joiner)
        if isinstance(each, PiecePart):
            yield Placed(seam.push(each.samples))
            continue
        block, begins = seam.finish(), seam.begins
        joiner.pause(each.piece.pause)
        end = begins + each.last
        yield Placed(
            block, each, begins + each.first, end, seam.late, _overrun(each, end, sample_rate)
        )
        seam = None
        if advance is not None:
            advance(joiner.end / sample_rate, max(plan.seconds, joiner.end / sample_rate))
    yield from _silence(joiner)
    yield Placed(joiner.finish())


def _silence(joiner: Joiner) -> Iterator[Placed]:
    """A long pause, block by block."""
    for block in joiner.silence():
        yield Placed(block)


def _wait_for(joiner: Joiner, piece: PlannedPiece) -> float:
    """Silence until the time of a timed piece; how late it is, in seconds."""
    if piece.starts_at is None:
        return 0.0
    due = piece.starts_at - joiner.end / joiner.sample_rate
    joiner.pause(max(0.0, due))
    return max(0.0, -due)


def _overrun(spoken: SpokenPiece, end: int, sample_rate: int) -> float:
    stops_at = spoken.piece.stops_at
    return 0.0 if stops_at is None else max(0.0, end / sample_rate - stops_at)
