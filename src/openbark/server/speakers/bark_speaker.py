"""A loaded Bark as the server's speaker: every utterance a job, all of them on one engine.

The engine computes on a thread of its own; each utterance waits for its pieces on another, which mostly
sleeps. Admission is the server's, so the engine's queue is as long as it needs to be.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from openbark.api import Bark
from openbark.config import BarkConfig
from openbark.engine.engine import Engine
from openbark.engine.request import STAGES, CascadeResult
from openbark.errors import CancelledError
from openbark.longform.join import Placed
from openbark.longform.voices import spoken_voice
from openbark.server.speakers.base import (
    Block,
    SpeakerFacts,
    SpeakerStats,
    SpeechReport,
    SpokenSegment,
    StageTime,
    Utterance,
)
from openbark.server.speakers.lanes import PieceLane
from openbark.speech.job import SpeechJob, plan_job
from openbark.speech.plan import PlanReport
from openbark.voices.voice import Voice, VoiceLike

_T = TypeVar("_T")

_ENDLESS = 10**9
_THREADS = 256
_PACE_SECONDS = 2.0


class BarkSpeaker:
    """Speaks with one Bark. max_rows: requests computed together."""

    def __init__(self, bark: Bark, max_rows: int = 16) -> None:
        self._bark = bark
        self.config = bark.config
        self.library = bark.voices
        self.facts = SpeakerFacts(bark.config.name, bark.sample_rate, bark.default_params)
        self._engine = Engine(
            bark.backend, max_batch=max_rows, max_queued=_ENDLESS, max_queued_seconds=_ENDLESS
        )
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="openbark-speech")
        self._closed = threading.Event()
        self._pace = _Pace()
        # Utterances whose audio is asked for now; counted on the event loop, read by their threads.
        self.active: set[BarkSpeech] = set()

    @property
    def stats(self) -> SpeakerStats:
        """Load at this moment, counted in pieces."""
        found = self._engine.stats
        speed = self._pace.speed(found.audio_seconds, found.busy_seconds)
        return SpeakerStats(
            found.running, found.queued, found.queued_seconds, speed, found.busy_seconds
        )

    def check_voice(self, voice: Voice) -> None:
        """Raise VoiceError unless the model can continue from this voice."""
        voice.validate(self._bark.config)

    def plan(self, utterance: Utterance) -> PlanReport:
        """The pieces it would be spoken in, as `start` speaks them. Raises InputError."""
        return self._job(utterance, threading.Event(), lazily=False).planned.report()

    def start(self, utterance: Utterance) -> BarkSpeech:
        """Begin; what the text is at fault with is raised with the first block."""
        if self._closed.is_set():
            raise CancelledError("the speaker is closed")
        self._engine.start()
        return BarkSpeech(self, utterance)

    def close(self) -> None:
        """Stop everything that runs."""
        self._closed.set()
        self._engine.close(drain=False)
        self.threads.shutdown(wait=False, cancel_futures=True)

    def placed(self, utterance: Utterance, cancel: threading.Event) -> Generator[Placed]:
        """Blocks with the piece each belongs to; blocks the thread that asks."""
        lane = PieceLane(self._engine, lambda: len(self.active) > 1)
        yield from self._job(utterance, cancel).placed(lane, eager=False)

    def _job(self, utterance: Utterance, cancel: threading.Event, lazily: bool = True) -> SpeechJob:
        options = replace(utterance.options, cancel=cancel)
        return plan_job(_Model(self._bark, utterance.find_voice), utterance.text, options, lazily)


class _Pace:
    """Audio seconds per second of work, over the last seconds of work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = (0.0, 0.0)
        self._speed: float | None = None

    def speed(self, audio_seconds: float, busy_seconds: float) -> float | None:
        """The speed, from the engine's totals at this moment."""
        with self._lock:
            audio, busy = audio_seconds - self._seen[0], busy_seconds - self._seen[1]
            if audio > 0 and (busy > _PACE_SECONDS or self._speed is None):
                self._seen = (audio_seconds, busy_seconds)
                self._speed = audio / busy
            return self._speed


class BarkSpeech:
    """One utterance of it."""

    def __init__(self, speaker: BarkSpeaker, utterance: Utterance) -> None:
        self._speaker = speaker
        self._utterance = utterance
        self._cancel = threading.Event()
        self._turn = threading.Lock()
        self._placed: Generator[Placed] | None = None
        self._taken = _Account(utterance.text, speaker.facts.sample_rate, speaker.config)
        self.report: SpeechReport | None = None

    async def __aiter__(self) -> AsyncIterator[Block]:
        """Blocks in order."""
        self._speaker.active.add(self)
        self._placed = self._speaker.placed(self._utterance, self._cancel)
        while (placed := await self._on_thread(self._next, self._placed)) is not None:
            self._taken.add(placed)
            if len(placed.block):
                yield placed.block
        self._speaker.active.discard(self)
        self.report = self._taken.report()

    async def aclose(self) -> None:
        """Stop within one decode step; returns when the place is free."""
        self._speaker.active.discard(self)
        self._cancel.set()
        if self._placed is not None:
            placed, self._placed = self._placed, None
            await asyncio.shield(self._on_thread(self._close, placed))

    def _next(self, placed: Generator[Placed]) -> Placed | None:
        with self._turn:
            return next(placed, None)

    def _close(self, placed: Generator[Placed]) -> None:
        # A block may still be on its way on another thread, whose caller was cancelled.
        with self._turn:
            placed.close()

    async def _on_thread(
        self, act: Callable[[Generator[Placed]], _T], placed: Generator[Placed]
    ) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._speaker.threads, act, placed)


class _Account:
    """What a speech report needs of the pieces, without their sound."""

    def __init__(self, text: str, sample_rate: int, config: BarkConfig) -> None:
        self._text = text
        self._rate = sample_rate
        self._config = config
        self._n_samples = 0
        self._input_tokens = 0
        self._output_tokens = 0
        self._segments: list[SpokenSegment] = []
        self._first: CascadeResult | None = None
        self._stages: list[StageTime] = []

    def add(self, placed: Placed) -> None:
        self._n_samples += len(placed.block)
        spoken = placed.spoken
        if spoken is None:
            return
        self._first = self._first or spoken.result
        self._stages += _stage_times(spoken.result)
        self._input_tokens += len(spoken.piece.text_tokens)
        self._output_tokens += len(spoken.result.semantic)
        self._segments.append(
            SpokenSegment(
                text=self._text[spoken.piece.start : spoken.piece.stop],
                start=round(placed.first_sample / self._rate, 3),
                end=round(placed.end_sample / self._rate, 3),
                voice=spoken.voice,
                stop_reason=str(spoken.result.stop_reason),
                n_attempts=len(spoken.attempts),
            )
        )

    def report(self) -> SpeechReport:
        first = self._first
        seconds = self._n_samples / self._rate
        return SpeechReport(
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            seconds=seconds,
            segments=tuple(self._segments),
            stages=tuple(self._stages),
            voice=None
            if first is None
            else spoken_voice(first.semantic, first.coarse, first.fine, seconds, self._config),
        )


def _stage_times(result: CascadeResult) -> list[StageTime]:
    """The stages of a piece that is there now."""
    found = []
    end = time.time()
    for stage in reversed(STAGES):
        seconds = result.timings.get(stage, 0.0)
        end -= seconds
        found.append(StageTime(stage, end, seconds))
    return found[::-1]


class _Model:
    """The model as a job sees it; voices that a script names come from the server, never from files."""

    def __init__(self, bark: Bark, named: Callable[[str], Voice]) -> None:
        self._named = named
        self.default_params = bark.default_params
        self.origin = bark.origin
        self.reader = bark.reader

    def find_voice(self, voice: VoiceLike | None) -> Voice | None:
        if voice is None or isinstance(voice, Voice):
            return voice
        return self._named(str(voice))
