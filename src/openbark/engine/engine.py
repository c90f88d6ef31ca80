"""Continuous batching on one backend: a bounded queue, and sequences that join and leave a batch at any step.

What moves next is `openbark.engine.scheduler`, how it is done `openbark.engine.runner`. Knows no text, no voice
library and no network. Engines share nothing: several may live in one process.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from openbark.backends.base import Backend, SharedBackend
from openbark.engine.forecast import Forecast
from openbark.engine.handle import Handle
from openbark.engine.request import CascadeResult, Request
from openbark.engine.runner import OverlapWorker, Runner, Sequence
from openbark.engine.scheduler import Batch, Overlap, Scheduler
from openbark.engine.stages import request_steps
from openbark.engine.stats import Counts, EngineStats
from openbark.engine.work import CodecDecode, Decode, Work
from openbark.errors import BusyError, CancelledError, ParamError
from openbark.forks import tell_after_fork
from openbark.types import Waveform

__all__ = ["Engine"]

_IDLE_SECONDS = 1.0
_MOST_STEPS = 128

_BATCH_SECONDS = 0.03
"""A lone sequence decodes for about this long before the engine looks at its queue again: short enough for a request
that joins, long enough that looking costs nothing beside a small model's steps."""


@dataclass(frozen=True, eq=False)
class _Running:
    """A request that is being decoded."""

    handle: Handle
    sequence: Sequence

    @property
    def work(self) -> Work | None:
        return self.sequence.work

    @property
    def checks_every_step(self) -> bool:
        return self.sequence.checks_every_step

    @property
    def begins(self) -> bool:
        return self.handle.request.begins


class Engine:
    """Serves requests on one backend.

    It advances when `step` is called, while a caller waits for a handle, or on its own thread after `start`.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        max_batch: int = 16,
        max_queued: int = 64,
        max_queued_seconds: float = 600.0,
    ) -> None:
        """max_batch: requests that run at a time; max_queued, max_queued_seconds: requests that may wait
        besides, and their estimated audio; one request may always wait. Raises ParamError."""
        if max_batch < 1 or max_queued < 1 or max_queued_seconds <= 0:
            given = f"{max_batch}, max_queued {max_queued}, max_queued_seconds {max_queued_seconds}"
            raise ParamError(f"max_batch is {given}; allowed: from 1, from 1, and more than 0")
        self.backend = backend
        self._limits = (max_batch, max_queued, max_queued_seconds)
        self._runner = Runner(backend)
        self._can_overlap = isinstance(backend, SharedBackend) and backend.shares_cores
        self._scheduler = Scheduler(n_beside=1 if self._can_overlap else None)
        self._forecast = Forecast(backend.config)
        self._counts = Counts()
        self._closed = self._moves_itself = False
        self._step_seconds = 0.0  # of the last decode batch
        self.after_fork()
        tell_after_fork(self)

    def after_fork(self) -> None:
        """Start without threads and requests: in the child of a fork, the parent's do not exist."""
        self._worker: OverlapWorker[_Running, list[Any | Exception]] = OverlapWorker()
        self._queue: deque[Handle] = deque()
        self._running: list[_Running] = []
        self._moving = threading.Lock()  # one step at a time
        # Guards all state but what a step alone touches.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        atexit.unregister(self._stop_at_exit)

    def __repr__(self) -> str:
        return f"<Engine of {self.backend.config.name!r}: {len(self._running)} running>"

    def submit(self, request: Request, *, wait: bool = False) -> Handle:
        """Queue a request, from any thread; one that `continues` goes before those that do not.

        wait: when the queue is full in requests or in audio, wait for room instead of raising BusyError. A closed
        engine raises it in any case.
        """
        handle = Handle(request, self._forecast.seconds(request), self._help, self.start)
        while not self._enqueue(handle, wait):
            if not self._help():
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._has_room(handle))
        return handle

    def _enqueue(self, handle: Handle, wait: bool) -> bool:
        """Whether there was room for it. Raises BusyError as `submit`."""
        with self._changed:
            if self._closed:
                raise BusyError("the engine is closed; make a new one")
            if self._has_room(handle):
                self._queue.insert(self._place(handle.request), handle)
                self._wake()
                return True
            if wait:
                return False
            self._counts.rejected += 1
            waiting = sum(other.seconds for other in self._queue)
            ahead = waiting + sum(each.handle.seconds for each in self._running)
            retry_after = self._forecast.wait(ahead, self._counts.busy_seconds)
            _, max_queued, max_seconds = self._limits
            raise BusyError(
                f"{len(self._queue)} requests ({waiting:.0f} s of audio) wait already, allowed: "
                f"{max_queued} and {max_seconds:g} s; try again in {retry_after:.0f} s",
                retry_after,
            )

    def _has_room(self, handle: Handle) -> bool:
        _, max_queued, max_seconds = self._limits
        waiting = sum(other.seconds for other in self._queue)
        fits = not self._queue or waiting + handle.seconds <= max_seconds
        return len(self._queue) < max_queued and fits

    def _place(self, request: Request) -> int:
        if not request.continues:
            return len(self._queue)
        return sum(other.request.continues for other in self._queue)

    def run(self, request: Request) -> CascadeResult:
        """Submit a request, waiting for room, and wait for its result; leaving early, as by Ctrl-C, cancels it."""
        handle = self.submit(request, wait=True)
        try:
            return handle.result()
        finally:
            handle.cancel()

    def stream(self, request: Request) -> Iterator[Waveform]:
        """Submit a request now; its audio as it is made (`Handle.stream`)."""
        return self.submit(request).stream()

    def astream(self, request: Request) -> AsyncIterator[Waveform]:
        """`stream` for async code."""
        return self.submit(request).astream()

    def step(self) -> bool:
        """Do the next piece of work on the calling thread. False when there is none."""
        with self._moving:
            started = time.perf_counter()
            self._drop_stopped()
            self._admit()
            moved = self._collect_overlapped()
            batch = self._next_batch()
            if batch is not None:
                self._execute(batch)
            elif not moved and not self._collect_overlapped(wait=True):
                return False
            with self._changed:
                self._counts.busy_seconds += time.perf_counter() - started
            return True

    def start(self) -> None:
        """Move by itself from now on, until `close`: on a thread that is there while there is work."""
        with self._changed:
            self._moves_itself = not self._closed
            self._wake()

    def close(self, drain: bool = True) -> None:
        """Take no more requests; finish those that are here, or cancel them with drain=False. Waits for that."""
        with self._changed:
            self._closed = True
            if not drain:
                for handle in (*self._queue, *(each.handle for each in self._running)):
                    handle.cancel()
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            while self.step():
                pass
        elif thread is not threading.current_thread():
            thread.join()
        self._worker.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close: drained after a block without an error, cancelled after one with an error."""
        self.close(drain=error is None)

    @property
    def stats(self) -> EngineStats:
        """Gauges and counters now."""
        with self._changed:
            stages = [each.sequence.stage for each in self._running]
            return EngineStats(
                queued=len(self._queue),
                queued_seconds=sum(handle.seconds for handle in self._queue),
                running=len(self._running),
                semantic=stages.count("semantic"),
                coarse=stages.count("coarse"),
                fine=stages.count("fine"),
                codec=stages.count("codec"),
                audio_seconds=self._forecast.audio_seconds,
                **asdict(self._counts),
            )

    def _stop_at_exit(self) -> None:
        self.close(drain=False)

    def _help(self) -> bool:
        """A step on the thread of a caller who waits; False when the engine has its own thread or there is no work."""
        return self._thread is None and self.step()

    def _wake(self) -> None:
        """Start the engine's thread if it runs by itself and the queue has work."""
        self._changed.notify_all()
        if self._moves_itself and self._thread is None and self._queue:
            self._thread = threading.Thread(target=self._serve, name="openbark-engine", daemon=True)
            # Before the libraries that it calls go away with the interpreter.
            atexit.register(self._stop_at_exit)
            self._thread.start()

    def _serve(self) -> None:
        """Step until the queue was empty for a while: an unused engine can then be garbage-collected."""
        while True:
            try:
                moved = self.step()
            except Exception as error:
                self._fail_all(error)
                continue
            with self._changed:
                if moved or self._queue or self._running:
                    continue
                if not self._closed:
                    self._changed.wait(_IDLE_SECONDS)
                if not self._queue:
                    self._thread = None
                    atexit.unregister(self._stop_at_exit)
                    return

    def _admit(self) -> None:
        """Start the sequences of the requests that waited longest, up to the batch limit."""
        max_batch, _, _ = self._limits
        failed: list[tuple[Handle, Exception]] = []
        with self._changed:
            while self._queue and len(self._running) < max_batch:
                handle = self._queue.popleft()
                steps = request_steps(handle.request, self.backend.config)
                try:
                    self._running.append(
                        _Running(handle, Sequence(handle.request, steps, handle.flag))
                    )
                except Exception as error:  # text or params that do not fit fail only their request
                    failed.append((handle, error))
            self._changed.notify_all()  # there is room in the queue
        for handle, reason in failed:
            self._complete(handle, reason)

    def _drop_stopped(self) -> None:
        """End what was cancelled, running or not."""
        with self._changed:
            running, queued = list(self._running), list(self._queue)
        for each in running:
            reason = _stop_reason(each.handle)
            if reason is not None:
                self._retire(each, reason)
        for handle in queued:
            reason = _stop_reason(handle)
            if reason is not None:
                with self._changed:
                    self._queue.remove(handle)
                    self._changed.notify_all()
                self._complete(handle, reason)

    def _next_batch(self) -> Batch[_Running] | None:
        """What runs next; an overlapped task is started along with it, where there is one."""
        away = self._worker.owner
        overlap = Overlap.UNSUPPORTED
        if self._can_overlap:
            overlap = Overlap.AVAILABLE if away is None else Overlap.BUSY
        candidates = [each for each in self._running if each is not away]
        batch = self._scheduler.next(candidates, overlap, self._most_steps())
        if batch is not None and batch.overlapped is not None:
            sequence = batch.overlapped.sequence
            self._worker.start(batch.overlapped, lambda: self._runner.run_all([sequence], 1))
        return batch

    def _most_steps(self) -> int | None:
        """Tokens until the next look at the queue; None for the scheduler's number, while there is company."""
        if len(self._running) > 1 or self._queue or not self._step_seconds:
            return None
        return min(_MOST_STEPS, round(_BATCH_SECONDS / self._step_seconds))

    def _collect_overlapped(self, wait: bool = False) -> bool:
        """Apply the result of the overlapped task; its sequence may be gone by now. False when there is none."""
        done = self._worker.collect(wait)
        if done is None:
            return False
        each, results = done
        if each in self._running:
            self._apply_result(each, results[0])
        return True

    def _execute(self, batch: Batch[_Running]) -> None:
        started = time.perf_counter()
        try:
            results = self._runner.run_all(
                [each.sequence for each in batch.sequences], batch.n_steps
            )
        except BaseException:  # Ctrl-C leaves these caches half written
            for each in batch.sequences:
                self._retire(each, CancelledError("the request was interrupted"))
            raise
        if isinstance(batch.sequences[0].work, Decode):
            longest = max((len(r[0]) for r in results if not isinstance(r, Exception)), default=0)
            self._step_seconds = (time.perf_counter() - started) / max(1, longest)
            with self._changed:
                self._counts.turns += 1
                self._counts.drawn_rows += len(batch.sequences)
        for each, result in zip(batch.sequences, results, strict=True):
            self._apply_result(each, result)

    def _apply_result(self, each: _Running, result: Any | Exception) -> None:
        """Pass a result to its sequence; retire a sequence that is done."""
        if isinstance(result, Exception):
            self._retire(each, result)
            return
        if isinstance(each.work, CodecDecode) and each.work.streamed:
            each.handle.publish(result)
        try:
            each.sequence.advance(result)
        except Exception as error:  # a model that said nothing, or a progress call that failed
            self._retire(each, error)
            return
        if each.work is None:
            self._retire(each, each.sequence.result)

    def _retire(self, each: _Running, result: CascadeResult | BaseException) -> None:
        with self._changed:
            self._running.remove(each)
        self._complete(each.handle, result)

    def _complete(self, handle: Handle, result: CascadeResult | BaseException) -> None:
        with self._changed:
            if isinstance(result, CancelledError):
                self._counts.cancelled += 1
            elif isinstance(result, BaseException):
                self._counts.failed += 1
            else:
                self._counts.finished += 1
                self._forecast.learn(handle.request, result)
        handle.complete(result)

    def _fail_all(self, error: Exception) -> None:
        """Fail every request after a step failed as a whole, so that no caller blocks forever."""
        with self._changed:
            handles = [*(each.handle for each in self._running), *self._queue]
            self._running.clear()
            self._queue.clear()
        for handle in handles:
            self._complete(handle, error)


def _stop_reason(handle: Handle) -> Exception | None:
    """Why a request is to end now, or None; a `cancel` that raises ends its own request."""
    try:
        stopped = bool(handle.flag[0]) or handle.request.stopped
    except Exception as error:
        return error
    return CancelledError("the request was cancelled") if stopped else None
