"""Rows of the compiled engine that advance together: each draws what it draws alone, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine, variants

from openbark.backends.base import BatchingBackend, Drawn, DrawRun
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool
from openbark.backends.native.structs import DTYPES
from openbark.errors import InputError
from openbark.params import SamplingParams
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt

pytestmark = needs_engine

SAMPLINGS = (
    SamplingParams(min_eos_p=None),
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=1.2, top_k=9, min_eos_p=0.02),
    SamplingParams(temperature=0.9, top_p=0.8),
)
N_ROWS = 9


def _backend(name: str, dtype: str, kernels: str, threads: int = 2) -> NativeBackend:
    if not Pool(1, kernels).precisions >> DTYPES[dtype] & 1:
        pytest.skip(f"{kernels} has no {dtype} arithmetic")
    return NativeBackend.load(checkpoint_in_memory(CONFIGS[name]), dtype, threads, kernels)


def _run(backend: NativeBackend, stage: Stage, row: int) -> DrawRun:
    """Row number `row`: a prompt, sampling, seed and length of its own."""
    config = backend.config.semantic if stage is Stage.SEMANTIC else backend.config.coarse
    generator = np.random.default_rng(row)
    ids = generator.integers(0, config.input_vocab_size, 1 + row * 3)
    session = backend.session(stage)
    session.read(Prompt(ids, ids[: row % 3] if stage is Stage.SEMANTIC else None))
    return DrawRun(
        session,
        SAMPLINGS[row % len(SAMPLINGS)],
        Noise(2**40 + row),
        first_step=row % 4,
        n_steps=3 + row * 2 % 13,
        allow_early_stop=row % 5 != 0,
    )


def _alone(run: DrawRun) -> Drawn:
    return run.session.draw_run(
        run.sampling, run.noise, run.first_step, run.n_steps, run.allow_early_stop
    )


def _plain(drawn: Drawn) -> tuple[list[int], object]:
    return drawn[0].tolist(), drawn[1]


@pytest.mark.parametrize("stage", [Stage.SEMANTIC, Stage.COARSE])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernels", variants())
def test_rows_together_draw_what_they_draw_alone(
    kernels: str, dtype: str, name: str, stage: Stage
) -> None:
    backend = _backend(name, dtype, kernels)
    assert isinstance(backend, BatchingBackend)
    alone = [_run(backend, stage, row) for row in range(N_ROWS)]
    expected = [_plain(_alone(run)) for run in alone]
    together = [_run(backend, stage, row) for row in range(N_ROWS)]
    assert [_plain(drawn) for drawn in backend.draw_batch(together)] == expected
    # What comes after does not depend on the companions either.
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first.session.step(3), second.session.step(3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernels", variants())
def test_it_does_not_matter_which_thread_takes_a_piece_of_a_step(kernels: str, dtype: str) -> None:
    """More threads than cores take pieces of each other, one thread has all of them; few rows and many."""
    alone, crowd = (_backend("wide", dtype, kernels, threads) for threads in (1, 7))
    for rows in (range(1), range(1, N_ROWS)):
        expected = [
            _plain(drawn)
            for drawn in alone.draw_batch([_run(alone, Stage.COARSE, row) for row in rows])
        ]
        runs = [_run(crowd, Stage.COARSE, row) for row in rows]
        assert [_plain(drawn) for drawn in crowd.draw_batch(runs)] == expected
        last = _run(alone, Stage.COARSE, rows[-1])
        alone.draw_batch([last])
        np.testing.assert_array_equal(runs[-1].session.step(3), last.session.step(3))


def test_rows_join_and_leave_between_calls() -> None:
    backend = _backend("wide", "float32", variants()[-1])
    expected = [_plain(_alone(_run(backend, Stage.COARSE, row)))[0] for row in range(N_ROWS)]
    runs = [_run(backend, Stage.COARSE, row) for row in range(N_ROWS)]
    found: list[list[int]] = [[] for _ in runs]
    for turn in range(40):
        batch = [
            row
            for row, run in enumerate(runs)
            if (turn + row) % 3 and len(found[row]) < run.n_steps and turn >= row
        ]
        steps = [
            replace(
                runs[row],
                first_step=runs[row].first_step + len(found[row]),
                n_steps=min(2, runs[row].n_steps - len(found[row])),
            )
            for row in batch
        ]
        for row, (tokens, _) in zip(batch, backend.draw_batch(steps), strict=True):
            found[row] += tokens.tolist()
    assert found == expected


def test_a_cancelled_row_leaves_the_others_alone() -> None:
    backend = _backend("tiny", "float32", variants()[-1])
    runs = [_run(backend, Stage.COARSE, row) for row in range(4)]
    expected = [_plain(_alone(run)) for run in runs]
    flags = [np.array([row == 2], dtype=np.int32) for row in range(4)]
    again = [
        replace(_run(backend, Stage.COARSE, row), cancel=flag) for row, flag in enumerate(flags)
    ]
    found = [_plain(drawn) for drawn in backend.draw_batch(again)]
    assert found == [*expected[:2], ([], None), expected[3]]


def test_no_rows_are_no_work() -> None:
    assert _backend("tiny", "float32", variants()[-1]).draw_batch([]) == []


def test_an_impossible_run_is_refused_before_any_row_moves() -> None:
    backend = _backend("tiny", "float32", variants()[-1])
    run, other = (_run(backend, Stage.COARSE, row) for row in (0, 1))
    expected = _plain(_alone(_run(backend, Stage.COARSE, 0)))
    beyond = replace(other, n_steps=backend.config.coarse.block_size + 1)
    unread = replace(other, session=backend.session(Stage.COARSE))
    elsewhere = _run(backend, Stage.SEMANTIC, 1)
    for bad in (beyond, unread, run, elsewhere):
        with pytest.raises(InputError):
            backend.draw_batch([run, bad])
    assert _plain(backend.draw_batch([run])[0]) == expected
