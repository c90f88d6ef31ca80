"""The application: one speaker, its service, the routes, the middlewares around them. Made, not imported.

Starts no thread and opens no port; `run.serve` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from openbark import __version__
from openbark.errors import OpenBarkError
from openbark.server.errors import ApiError, invalid, not_found, to_api_error
from openbark.server.extras.batch import batch_router
from openbark.server.extras.consents import ConsentStore, consents_router
from openbark.server.extras.websocket import websocket_router
from openbark.server.http.health import Readiness, health_router, keep_watch, tell_fault, warm_up
from openbark.server.http.middlewares import (
    AnswerErrors,
    CheckKey,
    CheckOrigin,
    Drain,
    DrainState,
    Identify,
    LimitBody,
    ShareAnswers,
    request_id_of,
)
from openbark.server.http.origins import Origins
from openbark.server.http.page import page_router
from openbark.server.http.routes_speech import speech_router
from openbark.server.http.routes_takes import takes_router
from openbark.server.http.routes_voices import voices_router
from openbark.server.http.upload_reader import ReadLimits, UploadReader
from openbark.server.http.validation import check_json_type, invalid_request
from openbark.server.settings import ServerSettings
from openbark.server.speakers.base import Speaker
from openbark.server.speakers.watched import WatchedSpeaker, WatchLimits
from openbark.server.speech.metrics import Metrics
from openbark.server.speech.serving import SpeechService
from openbark.server.speech.uploads import UploadedVoices
from openbark.server.speech.voice_book import VoiceBook, read_voice_map
from openbark.server.tracing import Tracing, open_tracing


@dataclass
class Parts:
    """What the application's layers share; tests and the signal handler look at it through `app.state.parts`."""

    service: SpeechService
    watched: WatchedSpeaker
    reader: UploadReader
    readiness: Readiness = field(default_factory=Readiness)
    drain: DrainState = field(default_factory=DrainState)
    wyoming_port: int | None = None

    @property
    def n_running(self) -> int:
        """Requests that a shutdown waits for: over HTTP, of Wyoming, and of WebSockets with text to speak."""
        http = self.drain.running
        return max(http + self.service.busy_sessions, self.service.admission.in_flight)


def create_app(
    speaker: Speaker, settings: ServerSettings, tracing: Tracing | None = None
) -> FastAPI:
    """An application that speaks with `speaker`. tracing: where traces go; None as the settings say.

    Raises ParamError for settings that cannot hold, MissingExtraError for traces without their packages.
    """
    traces = tracing or open_tracing(settings.otlp_endpoint)
    keys = settings.keys()
    metrics = Metrics()
    folder = settings.data_directory
    uploads = UploadedVoices(folder / "voices") if folder is not None else None
    names = read_voice_map(settings.voice_map)
    book = VoiceBook(speaker.library, names, uploads, spread=settings.voice_map is None)
    readiness = Readiness()
    limits = WatchLimits(settings.stuck_timeout, settings.max_failures)
    watched = WatchedSpeaker(speaker, limits, partial(tell_fault, readiness, metrics))
    reader = UploadReader(
        ReadLimits.within(
            settings.decode_timeout, settings.max_voice_bytes, settings.max_recording_seconds
        )
    )
    service = SpeechService(watched, book, settings, metrics, traces)
    parts = Parts(service, watched, reader, readiness)
    _watch(metrics, parts)
    app = FastAPI(
        title="OpenBark",
        version=__version__,
        description=_description(settings),
        lifespan=_lifespan(parts),
        # FastAPI's own page fetches its scripts from another host; ours is `page`'s.
        docs_url=None,
        redoc_url=None,
    )
    app.state.parts = parts
    app.include_router(health_router(parts.readiness, parts.drain, metrics), tags=["health"])
    app.include_router(speech_router(parts.service), tags=["speech"])
    app.include_router(batch_router(parts.service), tags=["speech"])
    app.include_router(takes_router(parts.service), tags=["speech"])
    app.include_router(voices_router(parts.service, parts.reader), tags=["voices"])
    consents = ConsentStore(folder / "consents") if folder is not None else None
    app.include_router(consents_router(parts.service, consents, parts.reader), tags=["voices"])
    app.include_router(websocket_router(parts.service))
    app.include_router(page_router(), include_in_schema=False)
    _answer_errors(app)
    origins = Origins(settings.cors_origins)
    # From the inside out: the last one meets a request first.
    app.add_middleware(LimitBody, settings=settings)
    app.add_middleware(Drain, state=parts.drain)
    app.add_middleware(CheckKey, settings=settings, keys=keys)
    app.add_middleware(CheckOrigin, settings=settings, origins=origins)
    app.add_middleware(AnswerErrors)
    app.add_middleware(ShareAnswers, origins=origins)
    app.add_middleware(Identify, tracing=traces)
    return app


def _lifespan(parts: Parts) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with _watching(parts):
                try:
                    await warm_up(parts.watched, parts.readiness)
                except OpenBarkError as error:
                    parts.readiness.broken(f"the warm-up clip failed: {error}")
                async with _wyoming(parts):
                    yield
        finally:
            parts.watched.close()
            await asyncio.to_thread(parts.service.tracing.close)

    return lifespan


@asynccontextmanager
async def _watching(parts: Parts) -> AsyncIterator[None]:
    seconds = parts.service.settings.stuck_timeout
    watching = asyncio.ensure_future(keep_watch(parts.watched, parts.readiness, seconds))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


@asynccontextmanager
async def _wyoming(parts: Parts) -> AsyncIterator[None]:
    settings = parts.service.settings
    if settings.wyoming_port is None:
        yield
        return
    from openbark.server.extras.wyoming import WyomingServer

    server = WyomingServer(parts.service)
    parts.wyoming_port = await server.start(settings.host, settings.wyoming_port)
    try:
        yield
    finally:
        await server.close()


def _answer_errors(app: FastAPI) -> None:
    def answer(request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, status_code=error.status, headers=error.headers)

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(OpenBarkError)
    async def our_error(request: Request, error: OpenBarkError) -> JSONResponse:
        return answer(request, to_api_error(error, request_id_of(request.scope)))

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(request, _of_validation(request, error))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        found = _of_framework(request, error)
        found.headers.update(error.headers or {})
        return answer(request, found)


def _of_validation(request: Request, error: RequestValidationError) -> ApiError:
    found = error.errors()
    if found[0]["loc"] == ("body",) and isinstance(error.body, bytes) and error.body:
        # The framework reads a body only where its type is JSON.
        try:
            check_json_type(request.headers.get("content-type"))
        except ApiError as unread:
            return unread
    return invalid_request(found)


def _of_framework(request: Request, error: HTTPException) -> ApiError:
    if isinstance(error.__cause__, ApiError):
        # `LimitBody` refused a body, which the framework takes for a broken body.
        return error.__cause__
    if error.status_code == 404:
        return not_found("unknown_url", f"there is nothing at {request.url.path}; see /docs")
    if error.status_code == 405:
        message = f"{request.method} is not possible at {request.url.path}; see /docs"
        return invalid("method_not_allowed", message, status=405)
    return invalid("invalid_request", str(error.detail), status=error.status_code)


def _watch(metrics: Metrics, parts: Parts) -> None:
    service = parts.service
    speaker, admission = service.speaker, service.admission
    metrics.watch("running", "Requests being spoken.", lambda: service.limiter.running)
    metrics.watch("waiting", "Requests waiting to start.", lambda: service.limiter.waiting)
    metrics.watch("pieces_running", "Pieces being computed.", lambda: speaker.stats.running)
    metrics.watch("pieces_waiting", "Pieces waiting for a row.", lambda: speaker.stats.waiting)
    metrics.watch(
        "queued_seconds", "Audio seconds estimated for both.", lambda: speaker.stats.queued_seconds
    )
    metrics.watch("in_flight", "Requests admitted and not ended.", lambda: admission.in_flight)
    metrics.watch("ready", "1 when the server is ready.", lambda: float(parts.readiness.ready))


def _description(settings: ServerSettings) -> str:
    limits = "\n".join(
        f"| `{name}` | {getattr(settings, name)} | {field.description} |"
        for name, field in ServerSettings.model_fields.items()
        if name.startswith(("max_", "streams_", "voices_")) or name.endswith("_timeout")
    )
    return (
        "Text to speech with Bark; speaks the dialect of OpenAI's clients.\n\n"
        "Where the server has keys, send `Authorization: Bearer KEY`; lists of models and voices, health and this "
        'page need none. Every error is `{"error": {"message", "type", "param", "code"}}`; a 503 or 429 has a '
        "`Retry-After`.\n\n"
        "`WS /v1/audio/speech/stream` takes text in parts. Send JSON text frames: "
        '`{"type": "session.config", "voice": "alloy"}` with any field of a speech request but `input`, '
        '`{"type": "input.text", "text": "..."}`, `{"type": "input.done"}`, `{"type": "session.close"}`. The '
        "answers are `audio.start`, binary frames and `audio.done` for each sentence, `error`, and `session.done`.\n\n"
        f"| limit | value | what |\n|---|---|---|\n{limits}"
    )
