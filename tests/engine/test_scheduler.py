"""The order of turns, by policy alone: who moves together, who waits, and for how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.engine.scheduler import Scheduler, Side, Turn
from openbark.engine.work import Decode, Draw, FinePass, Read, Work
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


def _grant(rows: list[Wanting], turn: Turn[Wanting], n_steps: int) -> object:
    """Check a turn against the rows that it was made of, and grant its wishes but what is done beside; its kind."""
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
    for row in turn.rows:
        row.wishes.pop(0)
    return kind


@settings(max_examples=300)
@given(crowds, st.integers(1, 9), st.integers(1, 4))
def test_every_wish_is_granted_in_an_order_that_keeps_nobody_waiting(
    rows: list[Wanting], n_steps: int, semantic_turns: int
) -> None:
    scheduler = Scheduler(n_steps, semantic_turns)
    n_wishes = sum(len(row.wishes) for row in rows)
    n_granted = 0
    waited: Counter[object] = Counter()
    while (turn := scheduler.next(rows)) is not None:
        assert turn.beside is None
        before = {_kind(row.work) for row in rows if row.work is not None}
        kind = _grant(rows, turn, n_steps)
        if kind is not Read:
            for other in before - {kind, Read}:
                waited[other] += 1
                # One turn of its own between draws, of which the other stage has so many at most.
                assert waited[other] <= (
                    2 * (semantic_turns + 1) if isinstance(other, Stage) else 1
                )
            waited[kind] = 0
        n_granted += len(turn.rows)
    assert n_granted == n_wishes


@settings(max_examples=300)
@given(crowds, st.lists(st.booleans(), min_size=60, max_size=60))
def test_what_is_done_beside_goes_on_while_others_move(
    rows: list[Wanting], ends: list[bool]
) -> None:
    """`ends`: whether what is on the side is done after each turn."""
    scheduler = Scheduler(8, 3)
    n_wishes = n_left = sum(len(row.wishes) for row in rows)
    away: Wanting | None = None
    n_waited = 0
    for end in (*ends, *[True] * 2 * n_wishes):
        here = [row for row in rows if row is not away]
        turn = scheduler.next(here, Side.FREE if away is None else Side.TAKEN)
        if turn is not None:
            draws = any(isinstance(row.work, Draw) for row in here)
            reads = any(row.work is READ for row in here)
            if turn.beside is not None:
                assert away is None and turn.beside not in turn.rows
                assert not isinstance(turn.beside.work, Draw)
                away = turn.beside
            kind = _grant(here, turn, 8)
            n_left -= len(turn.rows)
            # Who draws waits for prompts, and for one window at a time.
            n_waited = n_waited + 1 if draws and not reads and not isinstance(kind, Stage) else 0
            assert n_waited <= 1
        if away is not None and (end or turn is None):
            away.wishes.pop(0)
            away, n_left = None, n_left - 1
    assert n_left == 0


def test_windows_go_beside_a_crowd_that_draws_and_before_a_few() -> None:
    draws, windows = [Wanting([COARSE]) for _ in range(4)], [Wanting([FINISH]) for _ in range(3)]
    turn = Scheduler().next([*draws, *windows[:1]], Side.FREE)
    assert turn is not None and list(turn.rows) == draws and turn.beside is windows[0]
    scheduler = Scheduler()
    turns = [scheduler.next([*draws, *windows], Side.FREE) for _ in range(2)]
    found = [(turn.rows, turn.beside) for turn in turns if turn is not None]
    assert found == [(draws, windows[0]), (windows[:1], windows[1])]


def test_a_window_that_was_begun_is_filled_first() -> None:
    codes = np.zeros((8, 4), dtype=np.int64)
    fresh, begun = (Wanting([FinePass(codes, k, 0, 0, SamplingParams())]) for k in (2, 3))
    turn = Scheduler().next([fresh, begun])
    assert turn is not None and list(turn.rows) == [begun]


def test_semantic_rows_have_three_turns_for_one_of_the_coarse_ones() -> None:
    rows = [Wanting([COARSE] * 9), Wanting([SEMANTIC] * 9)]
    scheduler, kinds = Scheduler(), []
    for _ in range(8):
        turn = scheduler.next(rows)
        assert turn is not None
        kinds.append(_kind(turn.rows[0].work))
    assert kinds == [*[Stage.SEMANTIC] * 3, Stage.COARSE] * 2


def test_nothing_to_do_is_no_turn() -> None:
    assert Scheduler().next([]) is None
    assert Scheduler().next([Wanting([])]) is None
