"""Worker processes of this machine: each loads the model once and is given shard after shard.

A worker that dies is replaced and its shard given out again. Workers end with the process that started them, however
that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from openbark.batch.plan import Shard
from openbark.batch.shard import ShardReport, ShardSettings, SpeakerMaker, run_shard
from openbark.errors import DeviceError, OpenBarkError

_MAX_DEATHS = 3
_END_SECONDS = 5.0


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    lifeline: Connection
    shard: Shard | None = None


def run_local(
    shards: Sequence[Shard], settings: ShardSettings, maker: SpeakerMaker, n_workers: int
) -> Iterator[ShardReport]:
    """Reports of the shards as they are committed; leaving early ends the workers, which loses what they were speaking.

    Raises what a worker could not do, such as OSError for a full disk, and DeviceError for a shard on which workers die
    again and again.
    """
    waiting = deque(shards)
    deaths: Counter[int] = Counter()
    workers = [_start(settings, maker) for _ in range(min(n_workers, len(shards)))]
    try:
        for worker in workers:
            _give(worker, waiting)
        while any(worker.shard is not None for worker in workers):
            busy = {worker.pipe: worker for worker in workers if worker.shard is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    shard = worker.shard
                    deaths[shard.index if shard else -1] += 1
                    _check_deaths(shard, deaths, worker)
                    if shard is not None:
                        waiting.appendleft(shard)
                    workers.remove(worker)
                    _end(worker)
                    worker = _start(settings, maker)
                    workers.append(worker)
                else:
                    worker.shard = None
                    if isinstance(answer, BaseException):
                        raise answer
                    yield answer
                _give(worker, waiting)
    finally:
        for worker in workers:
            _end(worker)


def _start(settings: ShardSettings, maker: SpeakerMaker) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # The worker sees the end of this one when our process is gone, also after SIGKILL.
    life_here, life_there = context.Pipe()
    process = context.Process(target=_work, args=(theirs, life_there, settings, maker), daemon=True)
    process.start()
    theirs.close()
    life_there.close()
    return _Worker(process, ours, life_here)


def _give(worker: _Worker, waiting: deque[Shard]) -> None:
    if not waiting:
        return
    worker.shard = waiting.popleft()
    try:
        worker.pipe.send(worker.shard)
    except OSError:
        # It died; the next wait finds its pipe at an end and starts another one.
        return


def _check_deaths(shard: Shard | None, deaths: Counter[int], worker: _Worker) -> None:
    if shard is None or deaths[shard.index] < _MAX_DEATHS:
        return
    worker.process.join(_END_SECONDS)
    raise DeviceError(
        f"{_MAX_DEATHS} workers died on lines {shard.number} to {shard.number + shard.n_lines - 1} of {shard.file} "
        f"(exit code {worker.process.exitcode}); is there too little memory? Take fewer --workers or --rows"
    )


def _end(worker: _Worker) -> None:
    worker.process.terminate()
    worker.process.join(_END_SECONDS)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.pipe.close()
    worker.lifeline.close()


def _work(
    pipe: Connection, lifeline: Connection, settings: ShardSettings, maker: SpeakerMaker
) -> None:
    """The life of a worker."""
    # Ctrl-C reaches the whole group; the process that started us ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    try:
        speaker = maker.open()
        while True:
            shard = pipe.recv()
            pipe.send(run_shard(shard, settings, speaker))
    except (EOFError, KeyboardInterrupt):
        return
    except (OpenBarkError, OSError) as error:
        pipe.send(error)
    except Exception as error:
        pipe.send(DeviceError(f"a worker failed: {type(error).__name__}: {error}"))


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)
