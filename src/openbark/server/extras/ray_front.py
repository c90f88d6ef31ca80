"""What Ray Serve runs in front of the replicas: the application, and an answer of ours before it is there.

`proxy_middlewares` runs in Ray's HTTP proxies, which know neither OpenAI's errors nor which of theirs are worth
another try. Needs the extras [server] and [ray].
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from openbark.server.errors import ApiError, busy
from openbark.server.http.connections import keep_queries_out_of_logs

_log = logging.getLogger("openbark.server")

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_LIVE = "/health/live"
_OUR_PATHS = ("/v1/", "/health", "/metrics")
_RETRY_SECONDS = 0.5
_COME_BACK_SECONDS = 2.0
# RFC 6455: "try again later".
_TRY_AGAIN_LATER = 1013
_NO_APPLICATION, _FRONT_DIED, _UNAVAILABLE = 404, 500, 503


def model_loading() -> ApiError:
    """The answer (503) while no replica has its model yet."""
    return busy(
        "the model is loading in its replicas; try again in some seconds", 5.0, "model_loading"
    )


class FrontApp:
    """An ASGI application that answers 503 `model_loading` until the real one has been made and is ready.

    build: makes the real one; called again after a failure, as replicas may not be there yet.
    """

    def __init__(self, build: Callable[[], Awaitable[FastAPI]]) -> None:
        self._build = build
        self._app: _App | None = None
        self._leave = asyncio.Event()

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        elif scope["path"] == _LIVE:
            await _answer(send, 200, {"status": "alive"})
        else:
            await _answer_error(send, model_loading())

    async def _lifespan(self, receive: _Receive, send: _Send) -> None:
        await receive()
        serving = asyncio.ensure_future(self._serve())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._leave.set()
        await serving
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self) -> None:
        while not self._leave.is_set():
            try:
                app = await self._build()
                async with app.router.lifespan_context(app):
                    self._app = app
                    await self._leave.wait()
            except Exception as error:
                # No replica yet, or one that died while it was asked; the replicas' own errors are reported by
                # the process that deploys them.
                _log.info("the model cannot be asked yet: %s", error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._leave.wait(), _RETRY_SECONDS)


class ProxyErrors:
    """Middleware of Ray's proxy: its own plain answers become errors in OpenAI's shape that clients retry.

    The proxy makes them when the front died (500), is not there yet or not any more (404), or is full (503).
    Answers of the front are JSON or audio and pass as they are.
    """

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Pass on, but for the proxy's own words."""
        if scope["type"] != "http" or not scope["path"].startswith(_OUR_PATHS):
            await self._app(scope, receive, send)
            return
        started = replaced = False

        async def answer(message: _Message) -> None:
            nonlocal started, replaced
            if message["type"] == "http.response.start":
                if _is_of_proxy(message):
                    replaced = True
                    await _answer_error(send, _error_of(message["status"]))
                started = True
            if not replaced:
                await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            if started:
                raise
            _log.warning("the front did not answer: %s", error)
        if not started:
            # The front died. Ray answers nothing then, and the server under it a 500 without a word.
            await _answer_error(send, _error_of(_FRONT_DIED))


def proxy_middlewares() -> list[Middleware]:
    """Called by Ray in every HTTP proxy, by the name in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    keep_queries_out_of_logs("uvicorn.error", "ray.serve")
    return [Middleware(ProxyErrors)]


def _is_of_proxy(message: _Message) -> bool:
    headers = {bytes(name).lower(): bytes(value) for name, value in message.get("headers", ())}
    plain = not headers.get(b"content-type", b"").startswith((b"application/", b"audio/"))
    return plain and message["status"] in (_NO_APPLICATION, _FRONT_DIED, _UNAVAILABLE)


def _error_of(status: int) -> ApiError:
    if status == _FRONT_DIED:
        return busy(
            "the process in front of the replicas ended and is started again; send the request again",
            _COME_BACK_SECONDS,
            "front_restarting",
        )
    if status == _UNAVAILABLE:
        return busy("the server has no room for another request now", _COME_BACK_SECONDS)
    return busy("the server is starting or shutting down", _COME_BACK_SECONDS, "not_ready")


async def _answer_error(send: _Send, error: ApiError) -> None:
    await _answer(send, error.status, error.body, error.headers)


async def _answer(
    send: _Send, status: int, body: Any, headers: MutableMapping[str, str] | None = None
) -> None:
    data = json.dumps(body).encode()
    sent = {
        "content-type": "application/json",
        "content-length": str(len(data)),
        **(headers or {}),
    }
    fields = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": data})
