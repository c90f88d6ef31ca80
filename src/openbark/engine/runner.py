"""A request's state in the engine: its coroutine, its caches, its noise. Knows no backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

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
from openbark.engine.stages import Steps
from openbark.engine.work import CodecDecode, Decode, FineStep, Prefill, Work
from openbark.stages.sampling import Noise, Stage


@dataclass(eq=False)
class StageCache:
    """The cache of a causal stage: its session, the prompt read last, and the number of the token after it."""

    session: DrawingSession
    opening: Prefill
    first_step: int = 0


class Sequence:
    """One request being decoded: the work it needs next, and its caches."""

    def __init__(self, request: Request, steps: Steps[Any], cancel: Flag | None = None) -> None:
        """Start the coroutine. cancel: another thread stops the sequence by setting it.

        Raises what the coroutine raises before its first work item, such as TextError.
        """
        self.request = request
        self.noise = Noise(request.seed)
        self.cancel: Flag = np.zeros(1, dtype=np.int32) if cancel is None else cancel
        self.result: Any = None
        self.work: Work | None = None
        self.caches: dict[Stage, StageCache] = {}
        self.codec: CodecStream | None = None
        self.interleaves = request.latency == "low"  # its stages alternate, so all caches are kept
        self.decodes_alone = request.sampler is not None  # a foreign sampler takes one sequence
        self._steps = steps
        self.advance(None)

    def advance(self, result: Any) -> None:
        """Pass the result of the current work item to the coroutine.

        `work` is then the next item, or None when `result` holds the outcome. Raises what the coroutine raises.
        """
        done = self.work
        try:
            self.work = self._steps.send(result)
        except StopIteration as end:
            self.work, self.codec, self.result = None, None, end.value
            self.caches.clear()
        if isinstance(done, Prefill) and isinstance(self.work, Decode):
            self.caches[done.stage].first_step = self.work.first_step

    @property
    def stage(self) -> str:
        """The stage, of STAGES, that the sequence is in."""
        match self.work:
            case Prefill(stage=stage) | Decode(stage=stage):
                return stage.name.lower()
            case FineStep():
                return "fine"
        return "codec"

    @property
    def stopped(self) -> bool:
        """Whether the request was cancelled, by its flag or by its own `cancel`."""
        return bool(self.cancel[0]) or self.request.stopped

    @property
    def checks_every_step(self) -> bool:
        """Whether `request.cancel` has to be asked before every token."""
        return self.request.cancel is not None


_Owner = TypeVar("_Owner")
_Result = TypeVar("_Result")


class OverlapWorker(Generic[_Owner, _Result]):
    """Runs one task at a time for one owner, who starts it and collects its result.

    The thread exists from the first task on; it ends with `close`, or when this object is garbage-collected.
    """

    def __init__(self) -> None:
        self.owner: _Owner | None = None
        self._task: Future[_Result] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def start(self, owner: _Owner, task: Callable[[], _Result]) -> None:
        """Run `task` for `owner`; the result of the previous one must have been collected."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "openbark-overlap")
        self.owner, self._task = owner, self._thread.submit(task)

    def collect(self, wait: bool = False) -> tuple[_Owner, _Result] | None:
        """Owner and result of the last task; None while it runs (unless `wait`), or when there is none. Raises what
        the task raised."""
        owner, task = self.owner, self._task
        if owner is None or task is None or not (wait or task.done()):
            return None
        result = task.result()
        self.owner = self._task = None
        return owner, result

    def close(self) -> None:
        """Wait for the running task, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None


class Runner:
    """Executes work items on one backend."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._together = backend if isinstance(backend, BatchingBackend) else None

    def run(self, sequence: Sequence, n_steps: int) -> Any:
        """The result of a sequence's work item: at most `n_steps` tokens of a decode, everything else whole."""
        work = sequence.work
        match work:
            case Prefill():
                return self._prefill(sequence, work)
            case Decode():
                return _decode(self._part(sequence, n_steps))
            case FineStep():
                if not sequence.interleaves:
                    sequence.caches.clear()
                return draw_fine(
                    self.backend,
                    work.codes,
                    work.k,
                    work.first,
                    work.first_frame,
                    work.sampling,
                    sequence.noise,
                    sequence.request.sampler,
                )
            case CodecDecode(streamed=False):
                return self.backend.codec_decode(work.codes)
            case CodecDecode():
                return self._decode_block(sequence, work)
        raise TypeError("the sequence has no work item")

    def run_all(self, sequences: Iterable[Sequence], n_steps: int) -> list[Any | Exception]:
        """`run` for several sequences that decode in one stage, in one batch where the backend can: the result of
        each, or its own error.

        When the backend fails on a batch, each of its sequences reads its prompt again and decodes alone from then on.
        """
        every = list(sequences)
        batch = [sequence for sequence in every if not sequence.decodes_alone]
        if self._together is None or len(batch) < 2:
            return [_attempt(self.run, sequence, n_steps) for sequence in every]
        results: dict[Sequence, Any] = {}
        try:
            drawn = self._together.draw_batch([self._part(sequence, n_steps) for sequence in batch])
            results.update(zip(batch, drawn, strict=True))
        except Exception:  # running each sequence alone shows which one failed
            for sequence in batch:
                sequence.decodes_alone = True
                results[sequence] = _attempt(self._again, sequence, n_steps)
        for sequence in every:
            if sequence not in results:
                results[sequence] = _attempt(self.run, sequence, n_steps)
        return [results[sequence] for sequence in every]

    def _part(self, sequence: Sequence, n_steps: int) -> DrawRun:
        work = _wanted_decode(sequence)
        return DrawRun(
            self._cache(sequence, work.stage).session,
            work.sampling,
            sequence.noise,
            work.first_step,
            min(n_steps, work.n_steps),
            work.allow_early_stop,
            sequence.cancel,
        )

    def _prefill(self, sequence: Sequence, work: Prefill) -> None:
        before = sequence.caches.pop(work.stage, None)
        if not sequence.interleaves:
            sequence.caches.clear()
        session = before.session if before else None
        if session is None:
            session = drawing_session(self.backend, work.stage, sequence.request.sampler)
        session.read(work.prompt)
        sequence.caches[work.stage] = StageCache(session, work)

    def _decode_block(self, sequence: Sequence, work: CodecDecode) -> NDArray[np.float32]:
        if sequence.codec is None:
            sequence.codec = open_codec_stream(self.backend)
        samples = sequence.codec.push(work.codes)
        return np.concatenate([samples, sequence.codec.finish()]) if work.last else samples

    def _again(self, sequence: Sequence, n_steps: int) -> Drawn:
        """A decode from a new cache: the prompt, the tokens sampled since (equal, as noise is keyed by step), then
        the new ones."""
        part = self._part(sequence, n_steps)
        stage = _wanted_decode(sequence).stage
        failed = sequence.caches.pop(stage)
        self._prefill(sequence, failed.opening)
        cache = self._cache(sequence, stage)
        cache.first_step = failed.first_step
        n_before = part.first_step - cache.first_step
        if n_before:
            before = replace(part, session=cache.session)
            _decode(replace(before, first_step=cache.first_step, n_steps=n_before))
        return _decode(replace(part, session=cache.session))

    @staticmethod
    def _cache(sequence: Sequence, stage: Stage) -> StageCache:
        if stage not in sequence.caches:
            raise TypeError("a decode needs a prompt in its cache")
        return sequence.caches[stage]


def _wanted_decode(sequence: Sequence) -> Decode:
    if not isinstance(sequence.work, Decode):
        raise TypeError(f"the sequence needs {sequence.work!r}, not a decode")
    return sequence.work


def _decode(run: DrawRun) -> Drawn:
    return run.session.draw_run(
        run.sampling, run.noise, run.first_step, run.n_steps, run.allow_early_stop, run.cancel
    )


def _attempt(
    run: Callable[[Sequence, int], Any], sequence: Sequence, n_steps: int
) -> Any | Exception:
    try:
        return run(sequence, n_steps)
    except Exception as error:  # fails this sequence's request only
        return error
