"""The order of turns, by policy alone: who moves together, who waits, and for how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.engine.scheduler import Scheduler
from openbark.engine.work import Decode, Draw, Read, Work
from openbark.params import SamplingParams
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

FINISH = Decode(np.zeros((8, 1), dtype=np.int64))
READ = Read(Stage.COARSE, Prompt(np.zeros(1, dtype=np.int64)))
SEMANTIC = Draw(Stage.SEMANTIC, SamplingParams(), 0, 100)
COARSE = Draw(Stage.COARSE, SamplingParams(), 0, 100)


@dataclass(eq=False)
class Wanting:
    """A row with a list of wishes, each granted by one turn."""

    wishes: list[Work]
    watched: bool = False
    turns: list[int] = field(default_factory=list)

    @property
    def work(self) -> Work | None:
        return self.wishes[0] if self.wishes else None


def _flat(parts: list[list[Work]]) -> list[Work]:
    return [work for part in parts for work in part]


# As every row does: what is read is drawn from.
wishes = st.lists(
    st.sampled_from([[FINISH], [SEMANTIC], [COARSE], [READ, SEMANTIC], [READ, COARSE, COARSE]]),
    max_size=9,
).map(_flat)
crowds = st.lists(st.builds(Wanting, wishes, st.booleans()), max_size=6)


def _kind(work: Work | None) -> object:
    return work.stage if isinstance(work, Draw) else type(work)


@settings(max_examples=300)
@given(crowds, st.integers(1, 9), st.integers(1, 4))
def test_every_wish_is_granted_in_an_order_that_keeps_nobody_waiting(
    rows: list[Wanting], n_steps: int, patience: int
) -> None:
    scheduler = Scheduler(n_steps, patience)
    n_wishes = sum(len(row.wishes) for row in rows)
    n_granted = 0
    waited: Counter[object] = Counter()
    while (turn := scheduler.next(rows)) is not None:
        kinds = {_kind(row.work) for row in turn.rows}
        assert len(kinds) == 1
        kind = kinds.pop()
        same = [row for row in rows if row.work is not None and _kind(row.work) == kind]
        if isinstance(kind, Stage):
            assert list(turn.rows) == same, "all rows of a stage move together"
            assert turn.n_steps == (1 if any(row.watched for row in same) else n_steps)
            assert not any(row.work is READ for row in rows), "first everybody reads"
        else:
            assert list(turn.rows) == same[:1], "the earliest request first"
        if kind is not Read:
            others = {_kind(row.work) for row in rows if row.work is not None} - {kind, Read}
            for other in others:
                waited[other] += 1
                # One turn of its own between draws, of which the other stage has `patience` at most.
                assert waited[other] <= (2 * (patience + 1) if isinstance(other, Stage) else 1)
            waited[kind] = 0
        for row in turn.rows:
            row.wishes.pop(0)
        n_granted += len(turn.rows)
    assert n_granted == n_wishes
    assert not any(row.wishes for row in rows)


def test_the_stage_with_most_rows_moves_first() -> None:
    rows = [Wanting([SEMANTIC]), Wanting([COARSE]), Wanting([COARSE])]
    turn = Scheduler().next(rows)
    assert turn is not None and list(turn.rows) == rows[1:]


def test_nothing_to_do_is_no_turn() -> None:
    assert Scheduler().next([]) is None
    assert Scheduler().next([Wanting([])]) is None
