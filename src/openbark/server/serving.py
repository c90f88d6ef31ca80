"""From a speech request to its bytes: checks, a place in the queue, the speaker, the encoder.

Knows no routes; `routes_speech` and the others call it. Encoders run in threads, off the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Any

from openbark.audio import AudioEncoder, open_encoder
from openbark.audio.aac import has_aac
from openbark.errors import CancelledError, OpenBarkError, VoiceError
from openbark.params import GenerationParams, SamplingParams, check_seed
from openbark.server.admission import Admission
from openbark.server.encoding import Encoding
from openbark.server.errors import ApiError, invalid, not_found, to_api_error
from openbark.server.events import delta, done_event, event, ticking, usage_of
from openbark.server.metrics import Metrics
from openbark.server.protocol import SpeechRequest, Usage, VoiceId
from openbark.server.settings import ServerSettings
from openbark.server.speaker import Block, Speaker, Speech, SpeechReport, Utterance
from openbark.server.tempo import Tempo
from openbark.server.tracing import Tracing
from openbark.server.turns import Turns, listeners_at_once
from openbark.server.voice_book import VoiceBook
from openbark.voices.voice import Voice

__all__ = ["MODEL_ALIASES", "Job", "SpeechService"]

_ENCODERS = {
    "mp3": "mp3",
    "opus": "ogg",
    "aac": "aac",
    "flac": "flac",
    "wav": "wav",
    "pcm": "pcm",
}
_PROGRESS_SECONDS = 0.4
MODEL_ALIASES = ("bark", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""Names that mean "the model that is loaded", for clients with fixed names."""


@dataclass(frozen=True, eq=False)
class Job:
    """A speech request after its checks: ready to be admitted and spoken."""

    request: SpeechRequest
    utterance: Utterance
    owner: str
    request_id: str
    estimated_seconds: float


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
        self.admission = Admission(
            settings.max_queued, settings.max_queued_seconds, settings.streams_per_key, self._scale
        )
        self.turns = Turns(self._places)

    @property
    def models(self) -> tuple[str, ...]:
        """Names a client may give for the model, its own first."""
        own = self.speaker.model
        return (own, *(name for name in MODEL_ALIASES if name != own))

    def prepare(self, request: SpeechRequest, owner: str, request_id: str) -> Job:
        """Check everything that costs nothing. Raises ApiError naming the field, or InputError."""
        self.check_model(request.model)
        limit = self.settings.max_input_chars
        if not request.input.strip():
            raise invalid("input_empty", "input is empty; give a text to speak", "input")
        if len(request.input) > limit:
            raise invalid(
                "input_too_long",
                f"input has {len(request.input)} characters; this server takes {limit} at once",
                "input",
            )
        if request.response_format not in _ENCODERS:
            raise invalid(
                "format_unsupported",
                f"response_format {request.response_format!r} cannot be written here; legal: "
                f"{', '.join(_ENCODERS)}",
                "response_format",
            )
        if request.response_format == "aac" and not has_aac():
            raise invalid(
                "format_unsupported",
                'this server cannot write aac: pip install "openbark[av]" on its machine; legal: '
                f"{', '.join(name for name in _ENCODERS if name != 'aac')}",
                "response_format",
            )
        _check_latency(request)
        utterance = Utterance(
            text=request.input,
            voice=self._voice(request.voice, owner),
            seed=check_seed(request.seed),
            params=_params(request, self.speaker.default_params),
            split=request.split,
            policy=request.policy,
            sentence_pause=request.sentence_pause,
            paragraph_pause=request.paragraph_pause,
            retries=request.retries,
            best_of=request.best_of,
            latency=request.latency,
            input_format=request.input_format,
            strict=request.strict,
            script=request.script,
            speakers={
                name: self.book.find(voice, owner) for name, voice in request.speakers.items()
            },
            find_voice=lambda name: self._named(name, owner),
        )
        seconds = self.speaker.estimate_seconds(request.input)
        return Job(request, utterance, owner, request_id, seconds)

    def check_model(self, name: str | None) -> None:
        """Raises ApiError 404 `model_not_found` unless the name means the loaded model."""
        if name is not None and name not in self.models:
            raise not_found(
                "model_not_found",
                f"there is no model {name!r} here; legal: {', '.join(self.models)}",
                "model",
            )

    def _places(self) -> int:
        stats = self.speaker.stats
        return listeners_at_once(stats.speed, stats.places or self.settings.max_rows)

    def _scale(self) -> float:
        """How many times the places of one model the speaker has; the limits are those of one model."""
        return max(1.0, (self.speaker.stats.places or 0) / self.settings.max_rows)

    def content_headers(self, job: Job) -> dict[str, str]:
        """Headers of the answer besides its type."""
        headers = {
            "X-Accel-Buffering": "no",
            "Cache-Control": "no-store",
            "X-Sample-Rate": str(self.speaker.sample_rate),
            "X-Seed": str(job.utterance.seed),
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
        """The same audio as server-sent events; a failure on the way is an event too (ecosystem 1.1)."""
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
        yield done_event(reports[0], job.utterance.seed)

    async def whole(self, job: Job) -> tuple[bytes, Usage]:
        """A complete file with true sizes, and what it cost."""
        parts, report = await self.spoken(job)
        began = time.time()
        data = await asyncio.to_thread(self._encode_whole, job, parts)
        self.tracing.span("encode", began, time.time() - began)
        return data, usage_of(report)

    async def spoken(self, job: Job) -> tuple[list[Block], SpeechReport]:
        """All of the audio, and how it went."""
        parts: list[Block] = []
        reports: list[SpeechReport] = []
        async with aclosing(self.blocks(job, reports.append)) as blocks:
            async for block in blocks:
                parts.append(block)
        return parts, reports[0]

    async def blocks(
        self, job: Job, done: Callable[[SpeechReport], None] | None = None
    ) -> AsyncGenerator[Block, None]:
        """Audio of a job at the tempo it asked for; holds the job's place while it runs, and counts it.

        done: told how it went when it ended well.
        """
        clock = _Clock(self.metrics)
        outcome = "failed"
        with ExitStack() as stack:
            try:
                stack.enter_context(self.admission.ticket(job.owner, job.estimated_seconds))
            except ApiError:
                self.metrics.requests.labels("rejected").inc()
                raise
            try:
                came = time.time()
                async with self.turns.turn(self.settings.queue_timeout, job):
                    self.tracing.span("queue", came, time.time() - came)
                    speech = self.speaker.start(job.utterance)
                    rate = self.speaker.sample_rate
                    async with aclosing(_tempo(speech, job.request.speed, rate)) as made:
                        async for block in made:
                            clock.first()
                            self.metrics.audio_seconds.inc(len(block) / rate)
                            yield block
                outcome = "ok"
                self._account(speech.report, clock, done)
            except (GeneratorExit, asyncio.CancelledError, CancelledError):
                outcome = "cancelled"
                raise
            except OpenBarkError as error:
                outcome = "invalid" if error.http_status == 400 else "failed"
                raise
            finally:
                self.metrics.requests.labels(outcome).inc()

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

    def _voice(self, voice: str | VoiceId | None, owner: str) -> Any:
        if voice is None:
            return None
        return self.book.find(voice.id if isinstance(voice, VoiceId) else voice, owner)

    def _named(self, name: str, owner: str) -> Voice:
        """The voice of a name inside a script, which is found while the text is read."""
        try:
            return self.book.find(name, owner)
        except ApiError as error:
            raise VoiceError(error.message) from error

    def _encoder(self, job: Job) -> AudioEncoder:
        name = _ENCODERS[job.request.response_format]
        return open_encoder(name, self.speaker.sample_rate)

    def _progress_event(self, job: Job) -> bytes:
        return event(
            "speech.progress",
            {
                "position": self.turns.position(job),
                "running": self.turns.running,
                "waiting": self.turns.waiting,
                "queued_seconds": round(self.speaker.stats.queued_seconds, 1),
            },
        )

    def _encode_whole(self, job: Job, blocks: list[Block]) -> bytes:
        n_samples = sum(len(block) for block in blocks)
        name = _ENCODERS[job.request.response_format]
        encoder = open_encoder(name, self.speaker.sample_rate, n_samples=n_samples)
        data = bytearray().join([*(encoder.write(block) for block in blocks), encoder.finish()])
        for offset, patch in encoder.patches():
            data[offset : offset + len(patch)] = patch
        return bytes(data)


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


async def _tempo(speech: Speech, speed: float, sample_rate: int) -> AsyncGenerator[Block, None]:
    try:
        if speed == 1.0:
            async for block in speech:
                yield block
            return
        tempo = Tempo(speed, sample_rate)
        async for block in speech:
            yield await asyncio.to_thread(tempo.push, block)
        yield await asyncio.to_thread(tempo.finish)
    finally:
        await speech.aclose()


def _check_latency(request: SpeechRequest) -> None:
    """Refuse before the queue what `engine.live_longform.check_live_options` refuses in it."""
    if request.latency != "low":
        return
    for name, value, most in (("retries", request.retries, 0), ("best_of", request.best_of, 1)):
        if value is not None and value > most:
            raise invalid(
                "parameter_invalid",
                f"{name} is {value} with latency 'low'; legal: {most} or null, as a piece is heard while it is "
                "made; leave it out, or take latency 'sentence'",
                name,
            )


def _params(request: SpeechRequest, defaults: GenerationParams) -> GenerationParams:
    """The model's own settings, with those in their place that the request names."""

    def stage(
        name: str, temperature: float | None, min_eos_p: float | None = None
    ) -> SamplingParams:
        given: dict[str, Any] = {
            "temperature": temperature if temperature is not None else request.temperature,
            "top_k": request.top_k,
            "top_p": request.top_p,
            "min_eos_p": min_eos_p,
        }
        own: SamplingParams = getattr(defaults, name)
        return replace(own, **{key: value for key, value in given.items() if value is not None})

    return replace(
        defaults,
        semantic=stage("semantic", request.semantic_temperature, min_eos_p=request.min_eos_p),
        coarse=stage("coarse", request.coarse_temperature),
        fine=stage("fine", request.fine_temperature),
        max_semantic_seconds=request.max_seconds or defaults.max_semantic_seconds,
    )
