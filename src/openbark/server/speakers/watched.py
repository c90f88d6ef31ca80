"""A speaker under watch: a stalled engine, samples that are not numbers, and errors that repeat are noticed.

A stalled engine is seen from outside. Everything else may be the fault of a request, so a clip of the server's own
is tried first: only when that fails too, the server is at fault. What follows for readiness is
`openbark.server.http.health`; a replica of Ray Serve asks `check_progress` itself. Runs on the event loop, hence without locks.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from openbark.errors import BusyError, DeadlineError, DeviceError, OpenBarkError
from openbark.params import GenerationParams
from openbark.server.speakers.base import (
    Block,
    Speaker,
    SpeakerStats,
    Speech,
    SpeechReport,
    Utterance,
)
from openbark.speech.options import SpeechOptions
from openbark.speech.plan import PlanReport
from openbark.voices.voice import Voice

FaultKind = Literal["stuck", "sound", "errors"]

FAULTS: tuple[FaultKind, ...] = ("stuck", "sound", "errors")
"""What can be wrong: no step ends; samples are not numbers; one request after the other fails."""

_TRIAL_TEXT = "Hello."
"""Text of the clips that the server makes to test itself."""

_FIRST = asyncio.FIRST_COMPLETED
_CLOSE_SECONDS = 5.0
_COME_BACK_SECONDS = 5.0


def trial_utterance(params: GenerationParams) -> Utterance:
    """A short utterance that shows whether the model works. params: every stage filled in."""
    return Utterance(_TRIAL_TEXT, SpeechOptions(seed=0, params=params))


@dataclass(frozen=True)
class Fault:
    """What is wrong, in words without any text of a request."""

    kind: FaultKind
    message: str


@dataclass(frozen=True)
class WatchLimits:
    """stuck_seconds: without a step while there is work; failures: in a row."""

    stuck_seconds: float = 60.0
    failures: int = 3


class WatchedSpeaker:
    """A speaker whose `fault` says what is wrong with it, None when nothing is.

    A stalled engine fails what it was saying with DeadlineError and takes nothing new until it moves again; the
    other faults last until `reset`.
    """

    def __init__(
        self,
        speaker: Speaker,
        limits: WatchLimits,
        tell: Callable[[Fault], None] = lambda fault: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """tell: told of every fault when it is found."""
        self.fault: Fault | None = None
        self.facts = speaker.facts
        self.library = speaker.library
        self._speaker = speaker
        self._limits = limits
        self._tell = tell
        self._clock = clock
        self._progress: float | None = None
        self._moved = clock()
        self._failures = 0
        self._trial: asyncio.Task[None] | None = None
        self._alarms: set[asyncio.Future[None]] = set()
        self._leaving: set[asyncio.Future[None]] = set()
        self._closing: threading.Thread | None = None

    @property
    def stats(self) -> SpeakerStats:
        """Load at this moment."""
        return self._speaker.stats

    @property
    def abandoned(self) -> bool:
        """Whether it was closed and did not end: its threads would keep the process."""
        return self._closing is not None and self._closing.is_alive()

    def plan(self, utterance: Utterance) -> PlanReport:
        """The pieces it would be spoken in, with their pauses and seconds. Raises InputError."""
        return self._speaker.plan(utterance)

    def check_voice(self, voice: Voice) -> None:
        """Raise VoiceError unless the model can continue from this voice."""
        self._speaker.check_voice(voice)

    def start(self, utterance: Utterance) -> WatchedSpeech:
        """Begin, as `Speaker.start`; BusyError also while the engine is stalled."""
        if self.fault is not None and self.fault.kind == "stuck":
            raise BusyError(self.fault.message, _COME_BACK_SECONDS)
        return WatchedSpeech(self, self._speaker.start(utterance))

    def close(self) -> None:
        """Stop everything, and wait some seconds for it: a stalled engine does not end."""
        if self._trial is not None:
            # The loop may have ended before.
            with suppress(RuntimeError):
                self._trial.get_loop().call_soon_threadsafe(self._trial.cancel)
        if self._closing is None:
            self._closing = threading.Thread(target=self._speaker.close, daemon=True)
            self._closing.start()
        self._closing.join(_CLOSE_SECONDS)

    def check_progress(self) -> Fault | None:
        """Find out whether the engine moves, and what is wrong; called every now and then."""
        stats = self._speaker.stats
        idle = stats.running + stats.waiting == 0 or stats.progress is None
        if idle or stats.progress != self._progress:
            self._progress, self._moved = stats.progress, self._clock()
            if self.fault is not None and self.fault.kind == "stuck":
                self.fault = None
        elif self._clock() - self._moved >= self._limits.stuck_seconds:
            self._find("stuck", f"the engine made no step for {self._limits.stuck_seconds:g} s")
            for alarm in self._alarms:
                if not alarm.done():
                    alarm.set_result(None)
        return self.fault

    def reset(self) -> None:
        """Forget earlier faults: a test clip succeeded."""
        self.fault, self._failures = None, 0

    def validate_block(self, block: Block) -> None:
        """Raise DeviceError for samples that are not numbers, and find out whether the model is at fault."""
        if not np.isfinite(block).all():
            self._suspect("sound", "the engine made values that are no numbers")
            raise DeviceError(
                "the audio holds values that are no numbers; the server looks into it"
            )

    def record_outcome(self, error: Exception | None) -> None:
        """How an utterance ended: None is well. What the caller is at fault with, and a lack of memory for one
        request, count for nothing."""
        if error is None:
            self._failures = 0
        elif _is_ours(error):
            self._failures += 1
            if self._failures >= self._limits.failures:
                name = type(error).__name__
                self._suspect(
                    "errors", f"{self._failures} requests in a row failed, last with {name}"
                )

    def _suspect(self, kind: FaultKind, message: str) -> None:
        """Try a clip of the server's own, unless that is being done; it decides."""
        if self.fault is None and self._trial is None:
            self._trial = asyncio.ensure_future(self._try(kind, message))

    async def _try(self, kind: FaultKind, message: str) -> None:
        try:
            async with asyncio.timeout(self._limits.stuck_seconds):
                await self._speak_trial()
        except BusyError:
            # Nothing is known yet; the next failure asks again.
            return
        except Exception:
            self._find(kind, message)
        else:
            self._failures = 0
        finally:
            self._trial = None

    async def _speak_trial(self) -> None:
        speech = self._speaker.start(trial_utterance(self.facts.default_params))
        try:
            async for block in speech:
                if not np.isfinite(block).all():
                    raise DeviceError("the trial clip holds values that are no numbers")
        finally:
            await self.close_within(asyncio.ensure_future(speech.aclose()))

    def alarm(self) -> asyncio.Future[None]:
        """Done when the engine is found to be stalled; for `drop` when it is not needed any more."""
        alarm = asyncio.get_running_loop().create_future()
        self._alarms.add(alarm)
        return alarm

    def drop(self, alarm: asyncio.Future[None]) -> None:
        """Forget an alarm."""
        self._alarms.discard(alarm)
        alarm.cancel()

    async def close_within(self, closing: asyncio.Future[None]) -> None:
        """Wait for a speech to close, but not for a stalled engine: it closes when that moves."""
        self._leaving.add(closing)
        closing.add_done_callback(self._left)
        alarm = self.alarm()
        try:
            await asyncio.wait({closing, alarm}, timeout=self._patience, return_when=_FIRST)
        finally:
            self.drop(alarm)

    @property
    def _patience(self) -> float:
        is_stuck = self.fault is not None and self.fault.kind == "stuck"
        return 0.0 if is_stuck else _CLOSE_SECONDS

    def _left(self, closing: asyncio.Future[None]) -> None:
        self._leaving.discard(closing)
        if not closing.cancelled():
            closing.exception()

    def _find(self, kind: FaultKind, message: str) -> None:
        if self.fault is None or (kind == "stuck" and self.fault.kind != "stuck"):
            self.fault = Fault(kind, message)
            self._tell(self.fault)


class WatchedSpeech:
    """One utterance of it; ends, whatever the engine does."""

    def __init__(self, speaker: WatchedSpeaker, speech: Speech) -> None:
        self._speaker = speaker
        self._speech = speech

    @property
    def report(self) -> SpeechReport | None:
        """Report of the speech; None until it ended."""
        return self._speech.report

    async def __aiter__(self) -> AsyncIterator[Block]:
        """Blocks in order. Raises DeadlineError when the engine is stalled, DeviceError for samples that are not numbers."""
        alarm = self._speaker.alarm()
        blocks = aiter(self._speech)
        try:
            while (block := await self._next(blocks, alarm)) is not None:
                self._speaker.validate_block(block)
                yield block
        except Exception as error:
            self._speaker.record_outcome(error)
            raise
        finally:
            self._speaker.drop(alarm)
        self._speaker.record_outcome(None)

    async def aclose(self) -> None:
        """Stop, and free the place."""
        await self._speaker.close_within(asyncio.ensure_future(self._speech.aclose()))

    async def _next(
        self, blocks: AsyncIterator[Block], alarm: asyncio.Future[None]
    ) -> Block | None:
        coming = asyncio.ensure_future(_one(blocks))
        try:
            both: set[asyncio.Future[Any]] = {coming, alarm}
            await asyncio.wait(both, return_when=_FIRST)
            if not coming.done():
                fault = self._speaker.fault
                raise DeadlineError(fault.message if fault else "the engine stalled")
            return coming.result()
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _one(blocks: AsyncIterator[Block]) -> Block | None:
    return await anext(blocks, None)


def _is_ours(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return False
    if isinstance(error, OpenBarkError):
        return error.http_status >= 500 and not isinstance(error, BusyError)
    return True
