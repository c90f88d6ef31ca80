"""Does the work of rows on a backend: one row's, or a step of several at once. Knows no queue and no order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from openbark.backends.base import (
    Backend,
    BatchingBackend,
    DrawingSession,
    Drawn,
    DrawRun,
    Flag,
)
from openbark.engine.draws import draw_fine, drawing_session
from openbark.engine.request import Request
from openbark.engine.rows import Steps
from openbark.engine.work import Decode, Draw, FinePass, Read, Work
from openbark.stages.sampling import Noise

__all__ = ["Row", "Runner"]


class Row:
    """A request's place in the engine: what it wants next, and its cache where it has one."""

    def __init__(self, request: Request, steps: Steps[Any], cancel: Flag | None = None) -> None:
        """Start the coroutine. cancel: another thread stops the row by setting it.

        Raises what the coroutine raises before its first work, such as TextError.
        """
        self.request = request
        self.noise = Noise(request.seed)
        self.cancel: Flag = np.zeros(1, dtype=np.int32) if cancel is None else cancel
        self.result: Any = None
        self.work: Work | None = None
        self.session: DrawingSession | None = None
        self.opening: Read | None = None
        self.alone = request.sampler is not None  # draws in no batch
        self.first_step = 0
        self._steps = steps
        self.take(None)

    def take(self, result: Any) -> None:
        """Hand in what the work gave; `work` is then the next one, or None when `result` stands.

        Raises what the coroutine raises.
        """
        done = self.work
        try:
            self.work = self._steps.send(result)
        except StopIteration as end:
            self.work, self.session, self.result = None, None, end.value
        if isinstance(done, Read) and isinstance(self.work, Draw):
            self.opening, self.first_step = done, self.work.first_step

    @property
    def stage(self) -> str:
        """Which of STAGES the row is in."""
        match self.work:
            case Read(stage=stage) | Draw(stage=stage):
                return stage.name.lower()
            case FinePass():
                return "fine"
        return "codec"

    @property
    def stopped(self) -> bool:
        """Whether somebody wants the row to stop."""
        return bool(self.cancel[0]) or self.request.stopped

    @property
    def watched(self) -> bool:
        """Whether somebody must be asked before every step."""
        return self.request.cancel is not None


class Runner:
    """Does what rows want on one backend."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._together = backend if isinstance(backend, BatchingBackend) else None

    def run(self, row: Row, n_steps: int) -> Any:
        """The result of a row's work: draws of at most `n_steps` tokens, everything else whole."""
        work = row.work
        match work:
            case Read():
                return self._read(row, work)
            case Draw():
                return _draw(self._part(row, n_steps))
            case FinePass():
                row.session = None
                return draw_fine(
                    self.backend,
                    work.codes,
                    work.k,
                    work.first,
                    work.first_frame,
                    work.sampling,
                    row.noise,
                    row.request.sampler,
                )
            case Decode():
                return self.backend.codec_decode(work.codes)
        raise TypeError("a row without work")

    def run_all(self, rows: Sequence[Row], n_steps: int) -> list[Any | Exception]:
        """`run` for several rows, which draw in one stage, together where the backend can: the result of each,
        or the error that is its own.

        When the backend fails on a batch, each of its rows starts its prompt over and draws alone from then on.
        """
        batch = [row for row in rows if not row.alone]
        if self._together is None or len(batch) < 2:
            return [_attempt(self.run, row, n_steps) for row in rows]
        results: dict[Row, Any] = {}
        try:
            drawn = self._together.draw_batch([self._part(row, n_steps) for row in batch])
            results.update(zip(batch, drawn, strict=True))
        except Exception:  # whose it is shows when each row runs alone
            for row in batch:
                row.alone = True
                results[row] = _attempt(self._again, row, n_steps)
        for row in rows:
            if row not in results:
                results[row] = _attempt(self.run, row, n_steps)
        return [results[row] for row in rows]

    def _part(self, row: Row, n_steps: int) -> DrawRun:
        work = row.work
        if not isinstance(work, Draw):
            raise TypeError(f"a row that draws wants {work!r}")
        return DrawRun(
            self._session(row),
            work.sampling,
            row.noise,
            work.first_step,
            min(n_steps, work.n_steps),
            work.allow_early_stop,
            row.cancel,
        )

    def _read(self, row: Row, work: Read) -> None:
        opening = row.opening
        if row.session is None or opening is None or opening.stage is not work.stage:
            row.session = drawing_session(self.backend, work.stage, row.request.sampler)
        row.session.read(work.prompt)

    def _again(self, row: Row, n_steps: int) -> Drawn:
        """A draw from a fresh cache: the prompt, the tokens drawn since, which noise makes the same, then the
        new ones."""
        part = self._part(row, n_steps)
        if row.opening is None:
            raise TypeError("a row draws after it has read a prompt")
        row.session = None
        self._read(row, row.opening)
        n_before = part.first_step - row.first_step
        if n_before:
            before = replace(part, session=self._session(row))
            _draw(replace(before, first_step=row.first_step, n_steps=n_before))
        return _draw(replace(part, session=self._session(row)))

    @staticmethod
    def _session(row: Row) -> DrawingSession:
        if row.session is None:
            raise TypeError("a row draws after it has read a prompt")
        return row.session


def _draw(run: DrawRun) -> Drawn:
    return run.session.draw_run(
        run.sampling, run.noise, run.first_step, run.n_steps, run.allow_early_stop, run.cancel
    )


def _attempt(run: Callable[[Row, int], Any], row: Row, n_steps: int) -> Any | Exception:
    try:
        return run(row, n_steps)
    except Exception as error:  # it fails this row's request, and no other
        return error
