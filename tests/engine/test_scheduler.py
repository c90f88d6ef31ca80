"""The scheduler's policy: which sequences share a batch, which wait, and for how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.engine.scheduler import Batch, Overlap, Scheduler
from openbark.engine.work import CodecDecode, Decode, FineStep, Prefill, Work
from openbark.params import SamplingParams
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

FINISH = CodecDecode(np.zeros((8, 1), dtype=np.int64))
PREFILL = Prefill(Stage.COARSE, Prompt(np.zeros(1, dtype=np.int64)))
SEMANTIC = Decode(Stage.SEMANTIC, SamplingParams(), 0, 100)
COARSE = Decode(Stage.COARSE, SamplingParams(), 0, 100)


@dataclass(eq=False)
class Waiting:
    """A sequence with a list of work items; one batch executes one of them."""

    items: list[Work]
    checks_every_step: bool = False
    begins: bool = False

    @property
    def work(self) -> Work | None:
        return self.items[0] if self.items else None


def _flat(parts: list[list[Work]]) -> list[Work]:
    return [work for part in parts for work in part]


# As every sequence does: a prefill is followed by a decode of its stage.
items = st.lists(
    st.sampled_from(
        [[FINISH], [SEMANTIC], [COARSE], [PREFILL, SEMANTIC], [PREFILL, COARSE, COARSE]]
    ),
    max_size=9,
).map(_flat)
crowds = st.lists(st.builds(Waiting, items, st.booleans()), max_size=6)


def _kind(work: Work | None) -> object:
    return work.stage if isinstance(work, Decode) else type(work)


def _execute(sequences: list[Waiting], batch: Batch[Waiting], n_steps: int) -> object:
    """Check a batch against the sequences it was chosen from, and remove its items; returns the kind of work."""
    kinds = {_kind(sequence.work) for sequence in batch.sequences}
    assert len(kinds) == 1
    kind = kinds.pop()
    same = [
        sequence
        for sequence in sequences
        if sequence.work is not None and _kind(sequence.work) == kind
    ]
    if isinstance(kind, Stage):
        assert list(batch.sequences) == same, "all sequences of a stage share a batch"
        assert batch.n_steps == (
            1 if any(sequence.checks_every_step for sequence in same) else n_steps
        )
        assert not any(sequence.work is PREFILL for sequence in sequences), "prefills come first"
    else:
        assert list(batch.sequences) == same[:1], "the earliest request first"
    for sequence in batch.sequences:
        sequence.items.pop(0)
    return kind


@settings(max_examples=300)
@given(crowds, st.integers(1, 9), st.integers(1, 4))
def test_every_item_runs_and_no_kind_of_work_waits_long(
    sequences: list[Waiting], n_steps: int, semantic_batches: int
) -> None:
    scheduler = Scheduler(n_steps, semantic_batches)
    n_items = sum(len(sequence.items) for sequence in sequences)
    n_executed = 0
    waited: Counter[object] = Counter()
    while (batch := scheduler.next(sequences)) is not None:
        assert batch.overlapped is None
        before = {_kind(sequence.work) for sequence in sequences if sequence.work is not None}
        kind = _execute(sequences, batch, n_steps)
        if kind is not Prefill:
            for other in before - {kind, Prefill}:
                waited[other] += 1
                # One batch of its own between decode batches; the other stage has so many at most.
                assert waited[other] <= (
                    2 * (semantic_batches + 1) if isinstance(other, Stage) else 1
                )
            waited[kind] = 0
        n_executed += len(batch.sequences)
    assert n_executed == n_items


@settings(max_examples=300)
@given(crowds, st.lists(st.booleans(), min_size=60, max_size=60))
def test_overlapped_work_continues_while_others_run(
    sequences: list[Waiting], ends: list[bool]
) -> None:
    """`ends`: whether the overlapped item is done after each batch."""
    scheduler = Scheduler(8, 3)
    n_items = n_left = sum(len(sequence.items) for sequence in sequences)
    away: Waiting | None = None
    n_waited = 0
    for end in (*ends, *[True] * 2 * n_items):
        here = [sequence for sequence in sequences if sequence is not away]
        batch = scheduler.next(here, Overlap.AVAILABLE if away is None else Overlap.BUSY)
        if batch is not None:
            decoding = any(isinstance(sequence.work, Decode) for sequence in here)
            prefills = any(sequence.work is PREFILL for sequence in here)
            if batch.overlapped is not None:
                assert away is None and batch.overlapped not in batch.sequences
                assert not isinstance(batch.overlapped.work, Decode)
                away = batch.overlapped
            kind = _execute(here, batch, 8)
            n_left -= len(batch.sequences)
            # Decoding waits for prefills, and for one other item at a time.
            n_waited = (
                n_waited + 1 if decoding and not prefills and not isinstance(kind, Stage) else 0
            )
            assert n_waited <= 1
        if away is not None and (end or batch is None):
            away.items.pop(0)
            away, n_left = None, n_left - 1
    assert n_left == 0


def _run(scheduler: Scheduler, sequences: list[Waiting]) -> list[Waiting]:
    """Execute one batch; its sequences."""
    batch = scheduler.next(sequences)
    assert batch is not None
    for sequence in batch.sequences:
        sequence.items.pop(0)
    return list(batch.sequences)


@pytest.mark.parametrize("stage", [SEMANTIC, COARSE], ids=["semantic", "coarse"])
def test_one_other_sequence_runs_beside_one_that_begins(stage: Decode) -> None:
    others = [Waiting([stage] * 9) for _ in range(4)]
    short = Waiting([stage] * 3, begins=True)
    scheduler = Scheduler(n_beside=1)
    for _ in range(3):
        assert _run(scheduler, [*others, short]) == [others[0], short]
    assert [len(each.items) for each in others] == [6, 9, 9, 9]
    assert _run(scheduler, [*others, short]) == others, "they resume when it has ended"
    short.items, everyone = [stage], Scheduler()
    assert _run(everyone, [*others, short]) == [*others, short]


def test_what_begins_is_prefilled_and_finished_first() -> None:
    for item in (PREFILL, FINISH):
        other, short = Waiting([item]), Waiting([item], begins=True)
        assert _run(Scheduler(n_beside=1), [other, short]) == [short]


@pytest.mark.parametrize(("own", "other"), [(SEMANTIC, COARSE), (COARSE, SEMANTIC)])
def test_most_batches_are_of_the_stage_of_what_begins_and_none_starves(
    own: Decode, other: Decode
) -> None:
    long, short = Waiting([other] * 9), Waiting([own] * 9, begins=True)
    scheduler = Scheduler(n_beside=1)
    order = [_run(scheduler, [long, short])[0] for _ in range(8)]
    assert order == [short, short, short, long] * 2


def test_a_row_of_requests_that_begin_does_not_stop_the_others() -> None:
    others = [Waiting([SEMANTIC] * 5) for _ in range(3)]
    scheduler = Scheduler(n_beside=1)
    for _ in range(15):
        _run(scheduler, [*others, Waiting([SEMANTIC], begins=True)])
    assert not any(each.items for each in others)


def test_finishing_overlaps_a_large_batch_and_precedes_a_small_one() -> None:
    decoding, windows = [Waiting([COARSE]) for _ in range(4)], [Waiting([FINISH]) for _ in range(3)]
    batch = Scheduler().next([*decoding, *windows[:1]], Overlap.AVAILABLE)
    assert (
        batch is not None and list(batch.sequences) == decoding and batch.overlapped is windows[0]
    )
    scheduler = Scheduler()
    batches = [scheduler.next([*decoding, *windows], Overlap.AVAILABLE) for _ in range(2)]
    found = [(batch.sequences, batch.overlapped) for batch in batches if batch is not None]
    assert found == [(decoding, windows[0]), (windows[:1], windows[1])]


def test_a_started_window_is_filled_first() -> None:
    codes = np.zeros((8, 4), dtype=np.int64)
    fresh, begun = (Waiting([FineStep(codes, k, 0, 0, SamplingParams())]) for k in (2, 3))
    batch = Scheduler().next([fresh, begun])
    assert batch is not None and list(batch.sequences) == [begun]


def test_semantic_rows_have_three_turns_for_one_of_the_coarse_ones() -> None:
    sequences = [Waiting([COARSE] * 9), Waiting([SEMANTIC] * 9)]
    scheduler, kinds = Scheduler(), []
    for _ in range(8):
        batch = scheduler.next(sequences)
        assert batch is not None
        kinds.append(_kind(batch.sequences[0].work))
    assert kinds == [*[Stage.SEMANTIC] * 3, Stage.COARSE] * 2


def test_nothing_to_do_is_no_turn() -> None:
    assert Scheduler().next([]) is None
    assert Scheduler().next([Waiting([])]) is None
