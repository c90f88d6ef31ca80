"""Which rows move next: pure policy over what they want, without a backend and without a clock.

Rows that draw in one stage move together, as a step costs little more for several than for one. Prompts are
read before anybody draws, so that as many rows as possible do; a row that has read draws next, so this ends.
Fine windows and the codec take turns with draws: a long window keeps those who draw waiting for no more than
itself, and a crowd that draws keeps no finished clip back. Among rows that move alone the earliest request is
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from openbark.engine.work import Decode, DecodePart, Draw, FinePass, Read, Work
from openbark.stages.sampling import Stage

__all__ = ["Schedulable", "Scheduler", "Turn"]


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


@dataclass(frozen=True, slots=True)
class Turn(Generic[_Row]):
    """What is done next: several rows that draw in one stage, or one row that does something else.

    n_steps: the most tokens that each row draws.
    """

    rows: Sequence[_Row]
    n_steps: int


class Scheduler:
    """Picks one turn after the other."""

    def __init__(self, n_steps: int = 8, patience: int = 4) -> None:
        """n_steps: draws between two looks at who joins and leaves; patience: turns of draws after which a
        stage with fewer rows is preferred to one with more."""
        self._n_steps = n_steps
        self._patience = patience
        self._drew_last = False
        self._waited = {Stage.SEMANTIC: 0, Stage.COARSE: 0}

    def next(self, rows: Iterable[_Row]) -> Turn[_Row] | None:
        """The next turn of `rows`, which come in order of arrival; None when none of them has work."""
        drawing: dict[Stage, list[_Row]] = {}
        finishing: _Row | None = None
        for row in rows:
            match row.work:
                case Read():
                    return Turn([row], 1)
                case Draw(stage=stage):
                    drawing.setdefault(stage, []).append(row)
                case FinePass() | Decode() | DecodePart():
                    finishing = finishing or row
        if finishing is not None and (self._drew_last or not drawing):
            self._drew_last = False
            return Turn([finishing], 1)
        if not drawing:
            return None
        self._drew_last = True
        together = drawing[self._stage(drawing)]
        watched = any(row.watched for row in together)
        return Turn(together, 1 if watched else self._n_steps)

    def _stage(self, drawing: dict[Stage, list[_Row]]) -> Stage:
        """The stage with most rows, or the one that waited too long; the later one in doubt."""
        chosen = max(
            drawing,
            key=lambda stage: (
                self._waited[stage] >= self._patience,
                len(drawing[stage]),
                stage,
            ),
        )
        for stage in self._waited:
            waits = stage in drawing and stage is not chosen
            self._waited[stage] = self._waited[stage] + 1 if waits else 0
        return chosen
