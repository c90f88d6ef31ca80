"""What every request passes before the routes, one task each; `app` puts them around one another.

Pure ASGI, so that streams pass through untouched and the layers inside notice when a client disconnects.
Knows nothing of speech.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openbark.errors import OpenBarkError
from openbark.server.errors import (
    ApiError,
    invalid,
    shutting_down,
    timed_out,
    to_api_error,
    too_large,
    unauthorized,
)
from openbark.server.http.origins import Origins
from openbark.server.http.responses import ClientLeftError
from openbark.server.keys import KeyRing
from openbark.server.settings import ServerSettings
from openbark.server.tracing import Tracing

_log = logging.getLogger("openbark.server")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PUBLIC = (
    "/",
    "/docs",
    "/openapi.json",
    "/health",
    "/health/live",
    "/health/ready",
    "/favicon.ico",
)
_PUBLIC_PREFIXES = ("/static/",)
_LISTS = ("/v1/models", "/v1/audio/models", "/v1/audio/voices")
_UPLOADS = ("/v1/audio/voices", "/v1/audio/voice_consents")
_WATCHED_PREFIXES = ("/health", "/metrics")
_TRACED_PREFIX = "/v1/audio/speech"
_CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", _CONTENT_POLICY),
)


@dataclass
class DrainState:
    """Whether the server is shutting down, and how many requests run. One object, shared by the signal handler, the
    middlewares and readiness. running: HTTP requests without those for health and metrics."""

    leaving: bool = False
    retry_after: float = 5.0
    running: int = 0


@dataclass
class _Body:
    """How much of a request's body came, against its limits."""

    limit: int
    timeout: float
    received: int = 0
    complete: bool = False
    deadline: float = field(default=0.0)

    def start(self) -> None:
        self.deadline = asyncio.get_running_loop().time() + self.timeout

    async def receive(self, receive: Receive) -> Message:
        if self.complete:
            return await receive()
        left = self.deadline - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(receive(), max(left, 0.0))
        except TimeoutError as error:
            raise timed_out(
                "body_timeout", f"the body did not come within {self.timeout:g} s", status=408
            ) from error
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self.received > self.limit:
                raise self.too_large()
        return message

    def too_large(self) -> ApiError:
        return too_large(f"the body is larger than {self.limit} bytes, the server's limit")


class _Middleware:
    """One layer around the application; `_handle` sees every request and WebSocket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await self._handle(scope, Headers(scope=scope), receive, send)

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Pass the request on, refuse it with an ApiError, or answer it."""
        raise NotImplementedError


class Identify(_Middleware):
    """Gives each request an id, `scope["state"]["request_id"]`, and those for speech a trace."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        super().__init__(app)
        self._tracing = tracing

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        if not scope["path"].startswith(_TRACED_PREFIX):
            await self._app(scope, receive, send)
            return
        method = scope.get("method", "WEBSOCKET")
        facts = {"openbark.request_id": request_id, "http.request.method": method}
        name = f"{method} {_TRACED_PREFIX}"
        with self._tracing.request(name, headers, facts) as answered:

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answered(message["status"])
                await send(message)

            await self._app(scope, receive, told)


class ShareAnswers(_Middleware):
    """Adds what a browser wants to see before a page of an allowed origin may read an answer, errors included."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        super().__init__(app)
        self._origins = origins

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        origin = headers.get("origin")

        async def shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._origins.share(message, origin)
            await send(message)

        await self._app(scope, receive, shared if self._origins.allows(origin) else send)


class AnswerErrors(_Middleware):
    """Makes answers of errors, and gives every answer the request's id and the security headers."""

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        request_id = request_id_of(scope)
        started = False

        async def dressed(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                _dress(message, request_id)
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except ClientLeftError:
            return
        except Exception as error:
            if scope["type"] == "websocket":
                if started or not isinstance(error, ApiError):
                    raise
                await _close(receive, send, error)
                return
            if started:
                # Too late for an answer: the connection breaks, which no client takes for a whole one.
                reason = _expected(error)
                if reason is None:
                    _log.error("request %s broke while answering", request_id, exc_info=error)
                    raise
                # The server closes the connection of an answer that was not ended.
                _log.warning("request %s broke while answering: %s", request_id, reason)
                return
            answer = to_api_error(error, request_id)
            if answer.status == 500:
                _log.error("request %s failed", request_id, exc_info=error)
            await _answer(dressed, answer)


class CheckOrigin(_Middleware):
    """Refuses requests for another host name, and those of web pages of other sites; answers a browser's question
    whether a page may send a request."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, origins: Origins) -> None:
        super().__init__(app)
        self._origins = origins
        self._hosts = frozenset(name.lower() for name in (*settings.allowed_hosts, settings.host))

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        name = _host_name(headers.get("host", ""))
        if not ("*" in self._hosts or name in self._hosts or _is_loopback(name)):
            raise invalid(
                "host_not_allowed",
                f"this server does not answer to the name {name!r}; start it with --allowed-host {name or 'NAME'}",
            )
        if self._origins.is_preflight(scope, headers):
            allowed = list(self._origins.preflight_headers(headers))
            await send({"type": "http.response.start", "status": 204, "headers": allowed})
            await send({"type": "http.response.body", "body": b""})
            return
        self._origins.check(scope, headers)
        await self._app(scope, receive, send)


class CheckKey(_Middleware):
    """Refuses requests without a valid key; its name is `scope["state"]["key"]` for the layers inside."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, keys: KeyRing) -> None:
        super().__init__(app)
        self._public_lists = settings.public_lists
        self._keys = keys

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        owner = self._keys.owner(headers.get("authorization"))
        if owner is None and not self._is_public(scope):
            raise unauthorized()
        scope["state"]["key"] = owner or ""
        await self._app(scope, receive, send)

    def _is_public(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in _PUBLIC or path.startswith(_PUBLIC_PREFIXES):
            return True
        return (
            self._public_lists
            and scope.get("method") in ("GET", "HEAD")
            and (path in _LISTS or path.startswith("/v1/models/"))
        )


class Drain(_Middleware):
    """Refuses requests while the server is shutting down, and counts those that it then waits for."""

    def __init__(self, app: ASGIApp, state: DrainState) -> None:
        super().__init__(app)
        self._state = state

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        is_watched = scope["path"].startswith(_WATCHED_PREFIXES)
        if self._state.leaving and not is_watched:
            raise shutting_down(self._state.retry_after)
        counts = scope["type"] == "http" and not is_watched
        self._state.running += counts
        try:
            await self._app(scope, receive, send)
        finally:
            self._state.running -= counts


class LimitBody(_Middleware):
    """Refuses a body that is too large or too slow: by what it declares, and while it is read."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        super().__init__(app)
        self._settings = settings

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self._limit(scope), self._settings.body_timeout)
        body.start()

        async def limited() -> Message:
            return await body.receive(receive)

        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > body.limit:
            raise body.too_large()
        await self._app(scope, limited, send)

    def _limit(self, scope: Scope) -> int:
        # The multipart frame around an upload takes some bytes of its own.
        if scope["path"] in _UPLOADS:
            return self._settings.max_upload_bytes + (64 << 10)
        return self._settings.max_body_bytes


def request_id_of(scope: Scope) -> str:
    """The id of a request that came through `Identify`."""
    state: Mapping[str, Any] = scope.get("state", {})
    return str(state.get("request_id", "unknown"))


def _request_id(headers: Headers) -> str:
    offered = headers.get("x-request-id", "")
    return offered if _REQUEST_ID.fullmatch(offered) else f"req_{secrets.token_hex(12)}"


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _dress(message: Message, request_id: str) -> None:
    headers = MutableHeaders(scope=message)
    headers["x-request-id"] = request_id
    for name, value in _SECURITY_HEADERS:
        headers.setdefault(name, value)


def _expected(error: Exception) -> str | None:
    """What a failure is called in the log, without a text of its request; None for a bug, whose traceback is needed."""
    # The framework wraps an error that came after the headers.
    found = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    if isinstance(found, ApiError):
        return found.code
    return type(found).__name__ if isinstance(found, OpenBarkError | MemoryError) else None


async def _close(receive: Receive, send: Send, error: ApiError) -> None:
    """Refuse a WebSocket."""
    await receive()
    # 1008 policy violation, 1013 try again later (RFC 6455 and its registry).
    code = 1013 if error.status == 503 else 1008
    await send({"type": "websocket.close", "code": code, "reason": error.code})


async def _answer(send: Send, error: ApiError) -> None:
    content = json.dumps(error.body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
