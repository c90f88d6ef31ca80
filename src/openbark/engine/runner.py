"""Does the work of rows on a backend: one row's, or a step of several at once. Knows no queue and no order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import (
    Backend,
    BatchingBackend,
    CodecStream,
    DrawingSession,
    Drawn,
    DrawRun,
    Flag,
)
from openbark.backends.codec_stream import open_codec_stream
from openbark.engine.draws import draw_fine, drawing_session
from openbark.engine.request import Request
from openbark.engine.rows import Steps
from openbark.engine.work import Decode, DecodePart, Draw, FinePass, Read, Work
from openbark.stages.sampling import Noise, Stage

__all__ = ["Row", "Runner"]


@dataclass(eq=False)
class _Cache:
    """A row's place in a causal stage: the prompt that was read last, and the number of the token after it."""

    session: DrawingSession
    opening: Read
    first_step: int = 0


class Row:
    """A request's place in the engine: what it wants next, and its caches where it has some."""

    def __init__(self, request: Request, steps: Steps[Any], cancel: Flag | None = None) -> None:
        """Start the coroutine. cancel: another thread stops the row by setting it.

        Raises what the coroutine raises before its first work, such as TextError.
        """
        self.request = request
        self.noise = Noise(request.seed)
        self.cancel: Flag = np.zeros(1, dtype=np.int32) if cancel is None else cancel
        self.result: Any = None
        self.work: Work | None = None
        self.caches: dict[Stage, _Cache] = {}
        self.codec: CodecStream | None = None
        self.overlaps = request.latency == "low"  # its stages take turns
        self.alone = request.sampler is not None  # draws in no batch
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
            self.work, self.codec, self.result = None, None, end.value
            self.caches.clear()
        if isinstance(done, Read) and isinstance(self.work, Draw):
            self.caches[done.stage].first_step = self.work.first_step

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
                if not row.overlaps:
                    row.caches.clear()
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
            case DecodePart():
                return self._decode_part(row, work)
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
        work = _wanted_draw(row)
        return DrawRun(
            self._cache(row, work.stage).session,
            work.sampling,
            row.noise,
            work.first_step,
            min(n_steps, work.n_steps),
            work.allow_early_stop,
            row.cancel,
        )

    def _read(self, row: Row, work: Read) -> None:
        before = row.caches.pop(work.stage, None)
        if not row.overlaps:
            row.caches.clear()
        session = before.session if before else None
        if session is None:
            session = drawing_session(self.backend, work.stage, row.request.sampler)
        session.read(work.prompt)
        row.caches[work.stage] = _Cache(session, work)

    def _decode_part(self, row: Row, work: DecodePart) -> NDArray[np.float32]:
        if row.codec is None:
            row.codec = open_codec_stream(self.backend)
        samples = row.codec.push(work.codes)
        return np.concatenate([samples, row.codec.finish()]) if work.last else samples

    def _again(self, row: Row, n_steps: int) -> Drawn:
        """A draw from a fresh cache: the prompt, the tokens drawn since, which noise makes the same, then the
        new ones."""
        part = self._part(row, n_steps)
        stage = _wanted_draw(row).stage
        spoiled = row.caches.pop(stage)
        self._read(row, spoiled.opening)
        cache = self._cache(row, stage)
        cache.first_step = spoiled.first_step
        n_before = part.first_step - cache.first_step
        if n_before:
            before = replace(part, session=cache.session)
            _draw(replace(before, first_step=cache.first_step, n_steps=n_before))
        return _draw(replace(part, session=cache.session))

    @staticmethod
    def _cache(row: Row, stage: Stage) -> _Cache:
        if stage not in row.caches:
            raise TypeError("a row draws after it has read a prompt")
        return row.caches[stage]


def _wanted_draw(row: Row) -> Draw:
    if not isinstance(row.work, Draw):
        raise TypeError(f"a row that draws wants {row.work!r}")
    return row.work


def _draw(run: DrawRun) -> Drawn:
    return run.session.draw_run(
        run.sampling, run.noise, run.first_step, run.n_steps, run.allow_early_stop, run.cancel
    )


def _attempt(run: Callable[[Row, int], Any], row: Row, n_steps: int) -> Any | Exception:
    try:
        return run(row, n_steps)
    except Exception as error:  # it fails this row's request, and no other
        return error
