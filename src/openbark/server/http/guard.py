"""The outermost layer of the server: which requests are admitted, how large a body may be, what every answer carries.

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
from collections.abc import Mapping, Sequence
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

__all__ = ["DrainState", "Guard", "request_id_of"]

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
    guard and readiness. running: HTTP requests without those for health and metrics."""

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
                raise too_large(f"the body is larger than {self.limit} bytes, the server's limit")
        return message


class Guard:
    """Wraps the application: request ids, host names, keys, body limits, security headers, errors.

    Sets `scope["state"]["request_id"]` and `scope["state"]["key"]` (the name of the caller's key) for the
    layers inside.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        keys: KeyRing,
        drain: DrainState,
        tracing: Tracing,
    ) -> None:
        self._app = app
        self._tracing = tracing
        self._settings = settings
        self._keys = keys
        self._drain = drain
        self._origins = Origins(settings.cors_origins)
        self._hosts = frozenset(name.lower() for name in (*settings.allowed_hosts, settings.host))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        if not scope["path"].startswith(_TRACED_PREFIX):
            await self._admit(scope, headers, receive, send, request_id)
            return
        method = scope.get("method", "WEBSOCKET")
        facts = {"openbark.request_id": request_id, "http.request.method": method}
        name = f"{method} {_TRACED_PREFIX}"
        with self._tracing.request(name, headers, facts) as answered:

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answered(message["status"])
                await send(message)

            await self._admit(scope, headers, receive, told, request_id)

    async def _admit(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send, request_id: str
    ) -> None:
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        try:
            self._check_host(headers)
            if self._origins.is_preflight(scope, headers):
                await _allow(send, self._origins.preflight_headers(headers), request_id)
                return
            self._origins.check(scope, headers)
            state["key"] = self._check_key(scope, headers)
            self._check_leaving(scope)
        except ApiError as error:
            await _refuse(scope, receive, self._shared(send, headers), error, request_id)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        counts = not scope["path"].startswith(_WATCHED_PREFIXES)
        self._drain.running += counts
        try:
            await self._http(scope, headers, receive, self._shared(send, headers), request_id)
        finally:
            self._drain.running -= counts

    def _shared(self, send: Send, headers: Headers) -> Send:
        """`send`, with what a browser wants to see before a page of an allowed origin may read the answer."""
        origin = headers.get("origin")
        if not self._origins.allows(origin):
            return send

        async def shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._origins.share(message, origin)
            await send(message)

        return shared

    async def _http(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send, request_id: str
    ) -> None:
        body = _Body(self._body_limit(scope), self._settings.body_timeout)
        body.start()
        started = False

        async def limited() -> Message:
            return await body.receive(receive)

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _dress(message, request_id)
            await send(message)

        try:
            declared = headers.get("content-length", "")
            if declared.isdigit() and int(declared) > body.limit:
                raise too_large(f"the body is larger than {body.limit} bytes, the server's limit")
            await self._app(scope, limited, dressed)
        except ClientLeftError:
            return
        except Exception as error:
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
            await _refuse(scope, receive, send, answer, request_id)

    def _check_host(self, headers: Headers) -> None:
        name = _host_name(headers.get("host", ""))
        if "*" in self._hosts or name in self._hosts or _is_loopback(name):
            return
        raise invalid(
            "host_not_allowed",
            f"this server does not answer to the name {name!r}; start it with --allowed-host {name or 'NAME'}",
        )

    def _check_key(self, scope: Scope, headers: Headers) -> str:
        owner = self._keys.owner(headers.get("authorization"))
        if owner is not None:
            return owner
        if self._is_public(scope):
            return ""
        raise unauthorized()

    def _is_public(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in _PUBLIC or path.startswith(_PUBLIC_PREFIXES):
            return True
        return (
            self._settings.public_lists
            and scope.get("method") in ("GET", "HEAD")
            and (path in _LISTS or path.startswith("/v1/models/"))
        )

    def _check_leaving(self, scope: Scope) -> None:
        if self._drain.leaving and not scope["path"].startswith(_WATCHED_PREFIXES):
            raise shutting_down(self._drain.retry_after)

    def _body_limit(self, scope: Scope) -> int:
        # The multipart frame around an upload takes some bytes of its own.
        if scope["path"] in _UPLOADS:
            return self._settings.max_upload_bytes + (64 << 10)
        return self._settings.max_body_bytes


def request_id_of(scope: Scope) -> str:
    """The id of a request that came through the guard."""
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


async def _allow(send: Send, headers: Sequence[tuple[bytes, bytes]], request_id: str) -> None:
    """The answer to a browser that asks whether a page may send a request."""
    message: Message = {"type": "http.response.start", "status": 204, "headers": list(headers)}
    _dress(message, request_id)
    await send(message)
    await send({"type": "http.response.body", "body": b""})


async def _refuse(
    scope: Scope, receive: Receive, send: Send, error: ApiError, request_id: str
) -> None:
    if scope["type"] == "websocket":
        await receive()
        # 1008 policy violation, 1013 try again later (RFC 6455 and its registry).
        code = 1013 if error.status == 503 else 1008
        await send({"type": "websocket.close", "code": code, "reason": error.code})
        return
    content = json.dumps(error.body).encode()
    message: Message = {
        "type": "http.response.start",
        "status": error.status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
        ],
    }
    _dress(message, request_id)
    await send(message)
    await send({"type": "http.response.body", "body": content})
