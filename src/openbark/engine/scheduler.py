"""Which rows move next: pure policy over what they want, without a backend and without a clock.

Rows that draw in one stage move together, as a step costs little more for several than for one. Prompts are
read before anybody draws, and semantic rows have more turns than coarse ones, so that as many rows as possible
meet; a row that has read draws next, so this ends.

Fine windows and the codec take turns with draws: a window keeps those who draw waiting for no more than itself, and
a crowd that draws keeps no finished clip back. Where two things can share the cores, two windows or prompts go side
by side, and a window goes beside draws, which wait for memory while it computes. It then gets no turn of its own
while most rows draw; when few do, clips are finished first, and rows gather for larger steps. Of windows, those
that have come furthest are first, then the earliest request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from openbark.engine.work import Decode, DecodePart, Draw, FinePass, Read, Work
from openbark.stages.sampling import Stage

__all__ = ["Schedulable", "Scheduler", "Side", "Turn"]


class Side(Enum):
    """What may be done beside draws."""

    NONE = 0
    """Nothing ever: turns come one after the other."""
    TAKEN = 1
    """Nothing now, as something is."""
    FREE = 2


class Schedulable(Protocol):
    """What the policy knows of a row."""

    @property
    def work(self) -> Work | None:
        """What it wants next; None when it is done."""
        ...

    @property
    def watched(self) -> bool:
        """Whether somebody must be asked before every step."""
        ...


_Row = TypeVar("_Row", bound=Schedulable)

_CROWD = 2
"""Rows that draw, for each that finishes its clip, from which on neither is to wait for the other."""


@dataclass(frozen=True, slots=True)
class Turn(Generic[_Row]):
    """What is done next: several rows that draw in one stage, or one row that does something else.

    n_steps: the most tokens that each row draws. beside: a row that does something else meanwhile.
    """

    rows: Sequence[_Row]
    n_steps: int
    beside: _Row | None = None


class Scheduler:
    """Picks one turn after the other."""

    def __init__(self, n_steps: int = 8, semantic_turns: int = 3) -> None:
        """n_steps: draws between two looks at who joins and leaves; semantic_turns: turns of the semantic stage
        for one of the coarse stage, while rows draw in both."""
        self._n_steps = n_steps
        self._semantic_turns = semantic_turns
        self._drew_last = False
        self._n_semantic = 0

    def next(self, rows: Iterable[_Row], side: Side = Side.NONE) -> Turn[_Row] | None:
        """The next turn of `rows`, which come in order of arrival; None when none of them has work."""
        drawing: dict[Stage, list[_Row]] = {}
        reading: list[_Row] = []
        finishing: list[_Row] = []
        for row in rows:
            match row.work:
                case Read():
                    reading.append(row)
                case Draw(stage=stage):
                    drawing.setdefault(stage, []).append(row)
                case FinePass() | Decode() | DecodePart():
                    finishing.append(row)
        finishing.sort(key=_way_to_go)
        if reading:
            return Turn(reading[:1], 1, _beside((*reading[1:], *finishing), side))
        if finishing and (
            not drawing or (self._drew_last and _to_themselves(drawing, finishing, side))
        ):
            self._drew_last = False
            return Turn(finishing[:1], 1, _beside(finishing[1:], side))
        if not drawing:
            return None
        self._drew_last = True
        together = drawing[self._stage(drawing)]
        watched = any(row.watched for row in together)
        return Turn(together, 1 if watched else self._n_steps, _beside(finishing, side))

    def _stage(self, drawing: Mapping[Stage, Sequence[_Row]]) -> Stage:
        """The stage that draws next: the semantic one, but for one turn in so many."""
        if len(drawing) == 1 or self._n_semantic == self._semantic_turns:
            self._n_semantic = 0
            return max(drawing)
        self._n_semantic += 1
        return Stage.SEMANTIC


def _beside(rows: Sequence[_Row], side: Side) -> _Row | None:
    return rows[0] if rows and side is Side.FREE else None


def _to_themselves(
    drawing: Mapping[Stage, Sequence[_Row]], finishing: Sequence[_Row], side: Side
) -> bool:
    """Whether what finishes clips is to have a turn without draws."""
    if side is not Side.FREE:
        return side is Side.NONE
    return sum(map(len, drawing.values())) < _CROWD * len(finishing)


def _way_to_go(row: Schedulable) -> int:
    """Passes before the window of a row is filled, more or less; 0 where only the codec is left."""
    work = row.work
    return len(work.codes) - work.k if isinstance(work, FinePass) else 0
