"""A plan of pieces, spoken: each piece a request of its own, several at a time, tried again where one ran away.

Which voice a piece has is `openbark.longform.voices`, how good it is `openbark.longform.scoring`, how pieces are
joined `openbark.audio.joining`. Holds no more pieces than `ahead`. Knows no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openbark.audio.edits import stretch
from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.engine.request import CascadeResult, Request
from openbark.errors import BusyError, CancelledError, TextError
from openbark.longform.join import AttemptReport, SpokenPiece
from openbark.longform.options import LongFormOptions
from openbark.longform.plan import Plan, PlannedPiece
from openbark.longform.scoring import Attempt, Score, Scorer, measured, sound_profile
from openbark.longform.voices import blended_voice, spoken_voice, waits_for
from openbark.params import GenerationParams
from openbark.stages.sampling import philox4x32_single
from openbark.types import Cancel, Waveform, stopped
from openbark.voices.voice import Voice

_SEED_STREAM = 0x4C4F4E47
_WAIT_SECONDS = 0.05
_LEAST_ATTEMPTS = 3
"""Tries of a piece that says nothing at all, whatever the options: without them it would be lost."""


class PieceHandle(Protocol):
    """What is used of `engine.handle.Handle`."""

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        ...

    def result(self, timeout: float | None = None) -> CascadeResult:
        """The result, or what the request failed with; TimeoutError."""
        ...

    def cancel(self) -> None:
        """Stop it."""
        ...

    def take_audio(self) -> list[Waveform]:
        """Its blocks [L] that were not taken yet."""
        ...


class PieceEngine(Protocol):
    """What is used of `engine.engine.Engine`."""

    backend: Backend

    def submit(self, request: Request) -> PieceHandle:
        """Take a request. Raises BusyError."""
        ...

    def step(self) -> bool:
        """Do some work on this thread; False when there is none to do."""
        ...


def piece_seed(seed: int, index: int, attempt: int) -> int:
    """Seed of an attempt at a piece: of the first attempt at the first piece `seed` itself, of others a Philox
    draw, which depends on nothing else."""
    if index == attempt == 0:
        return seed
    low, high, _, _ = philox4x32_single(
        (index, attempt, _SEED_STREAM, 0), (seed & 0xFFFFFFFF, seed >> 32)
    )
    return low | high << 32


@dataclass(eq=False)
class _Try:
    seed: int
    handle: PieceHandle
    attempt: Attempt | None = None
    result: CascadeResult | None = None
    score: Score | None = None


@dataclass(eq=False)
class Row:
    """A piece in the works; for `LongForm` and what is built on it."""

    piece: PlannedPiece
    ordinal: int
    first: Row | None
    previous: Row | None
    voice: Voice | None = None
    heard: Voice | None = None
    wanted: int = 0
    tries: list[_Try] = field(default_factory=list)
    kept: _Try | None = None
    is_done: bool = False


class LongForm:
    """Speaks a plan on an engine; one run."""

    _latency = "sentence"

    def __init__(
        self,
        engine: PieceEngine,
        plan: Plan,
        params: GenerationParams,
        seed: int,
        options: LongFormOptions,
        scorer: Scorer,
        cancel: Cancel | None = None,
        eager: bool = True,
    ) -> None:
        """params: resolved. eager: False makes the first piece alone, so that it is heard sooner."""
        self._engine = engine
        self._config: BarkConfig = engine.backend.config
        self._params = params
        self._seed = seed
        self._options = options
        self._scorer = scorer
        self._cancel = cancel
        self._eager = eager
        self._window = options.ahead if eager else 1
        self._plan = plan
        self._last_of_role: dict[str | None, Row] = {}
        self._rows: dict[int, Row] = {}
        self._references: dict[str | None, NDArray[np.float64]] = {}

    def pieces(self) -> Iterator[SpokenPiece]:
        """The pieces in order, each as soon as it is there. Leaving early cancels what is in the works.

        Raises CancelledError, TextError for a piece that nothing was said of, BusyError.
        """
        try:
            for index, _ in enumerate(self._plan.pieces):
                self._enter(index)
                while not self._rows[index].is_done:
                    self._advance()
                spoken = self._spoken(self._rows.pop(index))
                # What follows is in the works while this one is heard.
                self._window = self._options.ahead
                self._enter(index + 1)
                self._look()
                yield spoken
        finally:
            self._leave()

    def _leave(self) -> None:
        """Cancel what is in the works, and see it gone."""
        left = list(self._waiting())
        for each in left:
            each.handle.cancel()
        while not all(each.handle.done for each in left) and self._engine.step():
            pass

    def _enter(self, index: int) -> None:
        """Make rows of the pieces from `index` on, as many as may be in the works."""
        for piece in self._plan.pieces[index : index + self._window]:
            if piece.index in self._rows:
                continue
            previous = self._last_of_role.get(piece.role)
            self._last_of_role[piece.role] = self._rows[piece.index] = Row(
                piece=piece,
                ordinal=previous.ordinal + 1 if previous else 0,
                first=(previous.first or previous) if previous else None,
                previous=previous,
            )

    def _advance(self) -> None:
        """One look at everything in the works."""
        if self._is_cancelled():
            raise CancelledError("the request was cancelled")
        if self._look() or self._engine.step():
            return
        waiting = next((each for each in self._waiting() if not each.handle.done), None)
        if waiting is not None:
            # What it fails with is found when its row is judged.
            with suppress(Exception):
                waiting.handle.result(_WAIT_SECONDS)

    def _look(self) -> bool:
        """Begin what can begin, judge what is back. False when there was nothing."""
        moved = False
        for row in self._rows.values():
            if row.is_done:
                continue
            if row.wanted == 0:
                moved |= self._begin(row)
            if len(row.tries) < row.wanted:
                moved |= self._submit(row)
            elif row.tries and all(each.handle.done for each in row.tries):
                self._judge(row)
                moved = True
        return moved

    def _waiting(self) -> Iterator[_Try]:
        for row in self._rows.values():
            yield from row.tries

    def _is_cancelled(self) -> bool:
        return stopped(self._cancel)

    def _begin(self, row: Row) -> bool:
        """Give a piece its voice once that is known. False when it has to wait."""
        anchored = row.piece.voice is not None
        awaited = waits_for(self._options, row.ordinal, anchored)
        source = row.first if awaited == 0 else row.previous
        if awaited is not None and source is not None and not source.is_done:
            return False
        row.voice = self._voice(row, awaited)
        # What came before is not needed again; a chain of rows would keep a book in memory.
        row.previous = None
        row.wanted = self._options.best_of
        return True

    def _voice(self, row: Row, awaited: int | None) -> Voice | None:
        given = row.piece.voice
        if awaited is None or row.previous is None:
            return given
        if self._options.policy == "chain":
            return row.previous.heard or row.previous.voice
        anchor = given or (row.first.heard if row.first else None)
        starts_anew = awaited == 0 and row.ordinal != 1
        previous = None if starts_anew or self._options.policy == "anchor" else row.previous.heard
        if anchor is None or previous is None or previous is anchor:
            return anchor or previous
        return blended_voice(anchor, previous, self._config)

    def _submit(self, row: Row) -> bool:
        """Submit the attempts of a piece that are wanted; False where the engine is too busy for one."""
        while len(row.tries) < row.wanted:
            seed = piece_seed(self._seed, row.piece.index, len(row.tries))
            request = Request(
                row.piece.text_tokens,
                self._params,
                seed,
                row.voice,
                continues=row.piece.index > 0 and row in self._next_rows(),
                begins=row.piece.index == 0 and not self._eager,
                latency=self._latency,
            )
            try:
                handle = self._engine.submit(request)
            except BusyError:
                if all(each.handle.done for each in self._waiting()):
                    raise
                return False
            row.tries.append(_Try(seed, handle))
        return True

    def _next_rows(self) -> list[Row]:
        """The piece that is waited for, and the one behind it: those further on can wait for others."""
        return list(self._rows.values())[:2]

    def _judge(self, row: Row) -> None:
        """Score what came back; keep the best, or try again."""
        for each in row.tries:
            if each.score is None:
                self._score(row, each)
        best = max(row.tries, key=lambda each: (not _faults(each), _value(each)))
        most = self._options.best_of + self._options.n_retries
        if best.result is None:
            most = max(most, _LEAST_ATTEMPTS)
        if _faults(best) and len(row.tries) < most:
            row.wanted = len(row.tries) + 1
            return
        if best.result is None or best.attempt is None:
            raise TextError(
                f"the model said nothing of {row.piece.text[:60]!r} in {len(row.tries)} attempts; try "
                "another seed, or other words"
            )
        row.kept, row.is_done = best, True
        seconds = best.attempt.last / self._config.sample_rate + (self._options.kept_seconds or 0.0)
        result = best.result
        row.heard = spoken_voice(result.semantic, result.coarse, result.fine, seconds, self._config)

    def _score(self, row: Row, each: _Try) -> None:
        try:
            result = each.handle.result()
        except TextError as error:
            each.score = Score(0.0, (str(error),))
            return
        each.result = result
        each.attempt = measured(
            row.piece.normalized,
            row.piece.seconds,
            self._params,
            result.stop_reason,
            result.waveform,
            self._config,
            self._reference(row.piece),
        )
        each.score = self._scorer.score(each.attempt)

    def _reference(self, piece: PlannedPiece) -> NDArray[np.float64] | None:
        """Sound of the voice that was given to the role of a piece, where attempts are compared."""
        if self._options.best_of > 1 and piece.voice is not None:
            if piece.role not in self._references:
                waveform = self._engine.backend.codec_decode(np.array(piece.voice.fine))
                profile = sound_profile(waveform, self._config.sample_rate)
                self._references[piece.role] = profile
            return self._references[piece.role]
        return None

    def _spoken(self, row: Row) -> SpokenPiece:
        kept = row.kept
        if kept is None or kept.result is None or kept.attempt is None:
            raise RuntimeError("a piece was returned before an attempt was chosen")
        spoken = _cut(row.piece, kept, self._options, self._config)
        reports = tuple(_report(each) for each in row.tries)
        row.tries = []
        row.kept = None
        return SpokenPiece(
            piece=row.piece,
            waveform=spoken[0],
            first=spoken[1],
            last=spoken[2],
            result=kept.result,
            seed=kept.seed,
            voice=row.voice.name or "unnamed" if row.voice else None,
            attempts=reports,
            score=_value(kept),
        )


def _faults(each: _Try) -> tuple[str, ...]:
    return each.score.faults if each.score else ()


def _value(each: _Try) -> float:
    return each.score.value if each.score else 0.0


def _report(each: _Try) -> AttemptReport:
    attempt = each.attempt
    return AttemptReport(
        seed=each.seed,
        stop_reason=attempt.stop_reason if attempt else None,
        seconds=round(attempt.speech_seconds, 3) if attempt else 0.0,
        score=round(_value(each), 4),
        faults=_faults(each),
    )


def _cut(
    piece: PlannedPiece, kept: _Try, options: LongFormOptions, config: BarkConfig
) -> tuple[Waveform, int, int]:
    """The waveform without silence at its ends, at its speed, and where its speech is."""
    attempt = kept.attempt
    if attempt is None:
        raise RuntimeError("an attempt without audio cannot be cut")
    waveform, first, last = attempt.waveform, attempt.first, attempt.last
    if options.kept_seconds is not None:
        keep = int(options.kept_seconds * config.sample_rate)
        start = max(0, first - keep)
        waveform = waveform[start : last + keep]
        first, last = first - start, last - start
    if piece.rate != 1.0:
        waveform = stretch(waveform, config.sample_rate, piece.rate)
        first, last = round(first / piece.rate), round(last / piece.rate)
    return waveform, first, min(last, len(waveform))
