"""Executes the work of sequences on a backend: one item, or one batch step of several. Knows no queue and no order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Backend, BatchingBackend, Drawn, DrawRun
from openbark.backends.codec_stream import open_codec_stream
from openbark.engine.draws import draw_fine, drawing_session
from openbark.engine.sequence import Sequence, StageCache
from openbark.engine.work import CodecDecode, Decode, FineStep, Prefill
from openbark.stages.sampling import Stage

__all__ = ["Runner"]


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
