"""From a speech request to its bytes: a place in the queue, the speaker, the encoder.

Knows no routes; `routes_speech` and the others call it. What a request may say is checked by `preparation`.
Encoders run in threads, off the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from openbark.audio import AudioEncoder, open_encoder
from openbark.audio.encoders import encode_blocks
from openbark.errors import CancelledError, OpenBarkError, VoiceError
from openbark.params import check_seed
from openbark.server.errors import ApiError, busy, not_found, timed_out, to_api_error
from openbark.server.settings import ServerSettings
from openbark.server.speakers.base import Block, Speaker, SpeechReport, Utterance
from openbark.server.speech.admission import Admission
from openbark.server.speech.limiter import ConcurrencyLimiter, Turn, listeners_at_once
from openbark.server.speech.metrics import Metrics
from openbark.server.speech.output import (
    Encoding,
    at_speed,
    delta,
    done_event,
    event,
    ticking,
    usage_of,
)
from openbark.server.speech.preparation import (
    ENCODERS,
    MODEL_ALIASES,
    Job,
    check_estimate,
    check_request,
    estimate_request,
    is_model_alias,
    language_of,
    long_form_of,
    params_of,
    voice_name,
)
from openbark.server.speech.protocol import SpeechRequest, Usage
from openbark.server.speech.voice_book import VoiceBook
from openbark.server.tracing import Tracing
from openbark.speech.options import ScriptOptions, SpeechOptions
from openbark.speech.plan import PlanReport
from openbark.voices.voice import Voice

_log = logging.getLogger("openbark.server")

_PROGRESS_SECONDS = 0.4
# Only a text or script of this many characters is worth a thread to estimate it in.
_LONG_TEXT = 2_000


class Session(Protocol):
    """A connection that speaks again and again: a WebSocket, a Wyoming client."""

    @property
    def is_busy(self) -> bool:
        """Whether text that it was given is not yet spoken."""
        ...


class SpeechService:
    """Speaks for many clients through one speaker."""

    def __init__(
        self,
        speaker: Speaker,
        book: VoiceBook,
        settings: ServerSettings,
        metrics: Metrics,
        tracing: Tracing | None = None,
    ) -> None:
        self.speaker = speaker
        self.tracing = tracing or Tracing()
        self.book = book
        self.settings = settings
        self.metrics = metrics
        self.limiter = ConcurrencyLimiter(self._places, self._capacity)
        self.admission = Admission(
            self.limiter,
            settings.max_queued,
            settings.max_queued_seconds,
            settings.streams_per_key,
            settings.queue_timeout,
            lambda: speaker.stats.speed,
            self._scale,
        )
        self.sessions: set[Session] = set()

    @property
    def models(self) -> tuple[str, ...]:
        """Names a client may give for the model, its own first."""
        own = self.speaker.facts.model
        return (own, *(name for name in MODEL_ALIASES if name != own))

    @property
    def busy_sessions(self) -> int:
        """Connections with text that is not yet spoken."""
        return sum(session.is_busy for session in self.sessions)

    async def prepare(
        self, request: SpeechRequest, owner: str, request_id: str, waits: bool = False
    ) -> Job:
        """Check everything that costs little, room first unless it `waits` for it. Raises ApiError, InputError."""
        if not waits:
            self.check_room(owner)
        self.check_model(request.model)
        check_request(request, self.settings)
        language = language_of(request)
        voice = voice_name(request.voice)
        for name in (voice, *request.speakers.values()):
            if name is not None:
                self.book.check(name, owner)
        if voice is None and language is not None:
            voice = self.book.voice_of(language)
        if request.script == "off" and len(request.input) < _LONG_TEXT:
            estimate = estimate_request(request)
        else:
            estimate = await asyncio.to_thread(estimate_request, request)
        check_estimate(estimate, self.settings, self.speaker.stats.speed)
        seed = check_seed(request.seed)
        return Job(request, owner, request_id, seed, voice, language, estimate)

    def check_room(self, owner: str) -> None:
        """Raise ApiError 429 or 503 where a request is refused whatever it asks for."""
        try:
            self.admission.check_room(owner)
        except ApiError:
            self.metrics.requests.labels("rejected").inc()
            raise

    def utterance(self, job: Job) -> Utterance:
        """What the speaker is asked for. Reads the files of voices: blocks, for threads."""
        request = job.request
        return Utterance(
            request.input,
            SpeechOptions(
                voice=None if job.voice is None else self.book.find(job.voice, job.owner),
                seed=job.seed,
                params=params_of(request, self.speaker.facts.default_params),
                long_form=long_form_of(request, job.language),
                script=self._script(job),
                input_format=request.input_format,
                strict=request.strict,
                latency=request.latency,
            ),
            lambda name: self._named(name, job.owner),
        )

    def _script(self, job: Job) -> ScriptOptions | None:
        request = job.request
        if request.script == "off":
            return None
        speakers = {name: self.book.find(v, job.owner) for name, v in request.speakers.items()}
        return ScriptOptions(request.script, speakers)

    async def plan(self, job: Job) -> PlanReport:
        """The pieces it would be spoken in, with their expected seconds; holds a place meanwhile."""
        with self.admission.ticket(job.owner, 0.0):
            return await asyncio.to_thread(lambda: self.speaker.plan(self.utterance(job)))

    def check_model(self, name: str | None) -> None:
        """Raises ApiError 404 `model_not_found` unless the name means the loaded model."""
        if name is None or name in self.models or is_model_alias(name):
            return
        raise not_found(
            "model_not_found",
            f"there is no model {name!r} here; allowed: {', '.join(self.models)}, or none",
            "model",
        )

    def _places(self) -> int:
        return listeners_at_once(self.speaker.stats.speed, self._capacity())

    def _capacity(self) -> int:
        """How many utterances the speaker computes at once."""
        return self.speaker.stats.places or self.settings.max_rows

    def _scale(self) -> float:
        """How many times the places of one model the speaker has; the limits are those of one model."""
        return max(1.0, self._capacity() / self.settings.max_rows)

    def content_headers(self, job: Job) -> dict[str, str]:
        """Headers of the answer besides its type."""
        headers = {
            "X-Accel-Buffering": "no",
            "Cache-Control": "no-store",
            "X-Sample-Rate": str(self.speaker.facts.sample_rate),
            "X-Seed": str(job.seed),
        }
        if job.request.instructions:
            headers["X-OpenBark-Warning"] = "instructions are accepted and not used by this model"
        return headers

    async def encoded(
        self, job: Job, done: Callable[[SpeechReport], None] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an audio file, as they are ready; `done` as in `blocks`."""
        encoder = Encoding(self._encoder(job), self.tracing)
        async with aclosing(self.blocks(job, done)) as blocks:
            async for block in blocks:
                yield await encoder.write(block)
        yield await encoder.finish()

    async def events(self, job: Job) -> AsyncGenerator[bytes, None]:
        """The same audio as server-sent events; a failure on the way is an event too."""
        encoder = Encoding(self._encoder(job), self.tracing)
        reports: list[SpeechReport] = []
        begun = False
        tick = _PROGRESS_SECONDS if job.request.progress else None
        try:
            async with (
                aclosing(self.blocks(job, reports.append)) as blocks,
                aclosing(ticking(blocks, tick)) as parts,
            ):
                async for block in parts:
                    if block is None:
                        begun = True
                        yield self._progress_event(job)
                        continue
                    data = await encoder.write(block)
                    if data:
                        begun = True
                        yield delta(data)
            yield delta(await encoder.finish())
        except (OpenBarkError, ApiError) as error:
            if not begun:
                raise
            yield event("speech.audio.error", to_api_error(error, job.request_id).body)
            return
        yield done_event(reports[0], job.seed)

    async def whole(self, job: Job) -> tuple[bytes, Usage]:
        """A complete file with true sizes, and what it cost."""
        parts, report = await self.spoken(job)
        began = time.time()
        data = await asyncio.to_thread(self._encode_whole, job, parts)
        self.tracing.span("encode", began, time.time() - began)
        return data, usage_of(report)

    async def spoken(self, job: Job) -> tuple[list[Block], SpeechReport]:
        """All of the audio, and its report."""
        parts: list[Block] = []
        reports: list[SpeechReport] = []
        async with aclosing(self.blocks(job, reports.append, keeps=True)) as blocks:
            async for block in blocks:
                parts.append(block)
        return parts, reports[0]

    async def blocks(
        self,
        job: Job,
        done: Callable[[SpeechReport], None] | None = None,
        keeps: bool = False,
    ) -> AsyncGenerator[Block, None]:
        """Audio of a job at the tempo it asked for; holds the job's place while it runs, and counts it.

        done: called with the report when the job succeeded. keeps: whether the caller keeps all of the audio, which then
        counts to the end.
        """
        clock = _Clock(self.metrics)
        outcome = "rejected"
        held = job.estimate.held
        per_second = 0.0 if keeps else held / max(job.estimate.audio, 1e-3)
        try:
            with self.admission.ticket(job.owner, held, job, per_second) as ticket:
                await self._begin(ticket)
                outcome = "failed"
                speech = self.speaker.start(await asyncio.to_thread(self.utterance, job))
                rate = self.speaker.facts.sample_rate
                async with aclosing(at_speed(speech, job.request.speed, rate)) as made:
                    while (block := await self._next(made, ticket)) is not None:
                        clock.first()
                        seconds = len(block) / rate
                        ticket.give(seconds)
                        self.metrics.audio_seconds.inc(seconds)
                        yield block
                outcome = "ok"
                self._account(speech.report, clock, done)
        except (GeneratorExit, asyncio.CancelledError, CancelledError):
            outcome = "cancelled"
            raise
        except (OpenBarkError, ApiError) as error:
            if outcome == "failed" and to_api_error(error, job.request_id).status == 400:
                outcome = "invalid"
            raise
        finally:
            self.metrics.requests.labels(outcome).inc()

    async def _begin(self, turn: Turn) -> None:
        """Wait for the first place. Raises ApiError 503 after `queue_timeout` seconds."""
        came = time.time()
        try:
            await turn.take(self.settings.queue_timeout)
        except TimeoutError as error:
            raise busy(
                f"no place became free within {self.settings.queue_timeout:g} s; try again later",
                self.admission.wait(),
            ) from error
        self.tracing.span("queue", came, time.time() - came)

    async def _next(self, made: AsyncGenerator[Block, None], turn: Turn) -> Block | None:
        """The next piece of audio, None at the end; between two pieces others may have the place. Raises ApiError 504
        where it does not come in time."""
        if not turn.holds:
            await turn.take()
        seconds = (
            self.settings.progress_timeout if turn.begun else self.settings.first_audio_timeout
        )
        try:
            async with asyncio.timeout(seconds):
                return await anext(made, None)
        except TimeoutError as error:
            raise timed_out("deadline_exceeded", f"no audio within {seconds:g} s") from error

    def log_bug(self, request_id: str, error: Exception) -> None:
        """Details of an `internal_error`, which its client does not get."""
        _log.error("request %s failed", request_id, exc_info=error)

    def _account(
        self,
        report: SpeechReport | None,
        clock: _Clock,
        done: Callable[[SpeechReport], None] | None,
    ) -> None:
        if report is None:
            return
        clock.finish(report.seconds)
        for each in report.stages:
            self.tracing.span(each.stage, each.began, each.seconds)
        self.admission.made(report.seconds, clock.elapsed)
        if done is not None:
            done(report)

    def _named(self, name: str, owner: str) -> Voice:
        """The voice of a name inside a script, which is found while the text is read."""
        try:
            return self.book.find(name, owner)
        except ApiError as error:
            raise VoiceError(error.message) from error

    def _encoder(self, job: Job, n_samples: int | None = None) -> AudioEncoder:
        name = ENCODERS[job.request.response_format]
        return open_encoder(name, self.speaker.facts.sample_rate, n_samples=n_samples)

    def _progress_event(self, job: Job) -> bytes:
        return event(
            "speech.progress",
            {
                "position": self.limiter.position(job),
                "running": self.limiter.running,
                "waiting": self.limiter.waiting,
                "queued_seconds": round(self.speaker.stats.queued_seconds, 1),
            },
        )

    def _encode_whole(self, job: Job, blocks: list[Block]) -> bytes:
        return encode_blocks(self._encoder(job, sum(map(len, blocks))), blocks)


class _Clock:
    """Times of one request, into the histograms."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._start = time.perf_counter()
        self._begun = False

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._start

    def first(self) -> None:
        if not self._begun:
            self._begun = True
            self._metrics.first_audio.observe(self.elapsed)

    def finish(self, audio_seconds: float) -> None:
        self._metrics.total.observe(self.elapsed)
        if audio_seconds > 0:
            self._metrics.real_time_factor.observe(self.elapsed / audio_seconds)
