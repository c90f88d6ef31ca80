"""What clients are told before the replicas are ready and when Ray's proxy answers by itself."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [server]")

from fastapi import FastAPI
from starlette.responses import JSONResponse, PlainTextResponse, Response

from openbark.errors import VoiceError
from openbark.server.extras.ray_front import FrontApp, ProxyErrors, proxy_middlewares
from openbark.server.speakers.base import Utterance
from openbark.speech.options import ScriptOptions, SpeechOptions
from openbark.voices.voice import Voice


def _client(app: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://test")


def _run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]


class _Lifespan:
    """What a server does with an application: start, and stop when told."""

    def __init__(self, app: FrontApp) -> None:
        self._app = app
        self._leave = asyncio.Event()
        self._started = asyncio.Event()
        self.stopped = False

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(
            self._app({"type": "lifespan"}, self._receive, self._send)
        )
        await self._started.wait()

    async def __aexit__(self, *_: object) -> None:
        self._leave.set()
        await self._task

    async def _receive(self) -> dict[str, str]:
        if not self._started.is_set():
            return {"type": "lifespan.startup"}
        await self._leave.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: object) -> None:
        self._started.set()


def test_it_says_model_loading_until_the_application_is_there() -> None:
    async def test() -> None:
        there = asyncio.Event()
        tries = []

        async def build() -> FastAPI:
            tries.append(1)
            if len(tries) == 1:
                raise RuntimeError("no replica yet")
            await there.wait()
            app = FastAPI()
            app.add_api_route("/health/ready", lambda: {"status": "ready"})
            return app

        front = FrontApp(build)
        async with _Lifespan(front), _client(front) as client:
            for path in ("/health/ready", "/health", "/v1/models", "/"):
                found = await client.get(path)
                assert found.status_code == 503
                assert found.json()["error"]["code"] == "model_loading"
                assert int(found.headers["retry-after"]) >= 1
            speech = await client.post("/v1/audio/speech", json={"input": "Hi."})
            assert speech.status_code == 503
            assert (await client.get("/health/live")).status_code == 200
            there.set()
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.sleep(0)

    _run(test)


def test_a_front_ends_while_its_model_is_still_loading() -> None:
    async def test() -> None:
        async def build() -> FastAPI:
            raise RuntimeError("no replica yet")

        async with _Lifespan(FrontApp(build)):
            pass

    _run(test)


@pytest.mark.parametrize("status", [404, 500, 503])
@pytest.mark.parametrize("path", ["/v1/audio/speech", "/health/ready", "/metrics"])
def test_plain_answers_of_the_proxy_become_retryable_errors(status: int, path: str) -> None:
    async def test() -> None:
        async with _client(ProxyErrors(PlainTextResponse("Ray's words", status))) as client:
            found = await client.post(path)
        assert found.status_code == 503
        assert found.json()["error"].keys() == {"message", "type", "param", "code"}
        assert int(found.headers["retry-after"]) >= 1

    _run(test)


@pytest.mark.parametrize("raises", [True, False])
def test_a_proxy_without_an_answer_gives_a_retryable_error(raises: bool) -> None:
    async def test() -> None:
        async def dies(scope: object, receive: object, send: object) -> None:
            if raises:
                raise RuntimeError("the actor died")

        async with _client(ProxyErrors(dies)) as client:  # type: ignore[arg-type]
            found = await client.post("/v1/audio/speech")
        assert (found.status_code, found.json()["error"]["code"]) == (503, "front_restarting")

    _run(test)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (JSONResponse({"error": {"code": "voice_not_found"}}, 404), "/v1/audio/speech"),
        (JSONResponse({"error": {"code": "internal"}}, 500), "/v1/audio/speech"),
        (PlainTextResponse("openbark_ready 1"), "/metrics"),
        (Response(b"\0\0", media_type="audio/pcm"), "/v1/audio/speech"),
        (PlainTextResponse("of another application", 500), "/theirs"),
    ],
)
def test_answers_of_applications_pass_as_they_are(answer: Response, path: str) -> None:
    async def test() -> None:
        async with _client(ProxyErrors(answer)) as client:
            found = await client.get(path)
        assert (found.status_code, found.content) == (answer.status_code, answer.body)

    _run(test)


def test_proxies_log_no_queries(caplog: pytest.LogCaptureFixture) -> None:
    proxy_middlewares()
    proxy_middlewares()  # One filter, however often.
    logger = logging.getLogger("ray.serve")
    assert len(logger.filters) == 1
    with caplog.at_level(logging.INFO, "ray.serve"):
        logger.info("GET %s %d", "/v1/audio/speech?api_key=secret", 200)
    assert caplog.messages == ["GET /v1/audio/speech 200"]
    logger.removeFilter(logger.filters[0])


_SSML = '<speak><voice name="mine">Hello.</voice> <voice name="lost">There.</voice></speak>'


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (_SSML, SpeechOptions()),
        ("[voice:mine] Hello.\n[voice:lost] There.", SpeechOptions(script=ScriptOptions())),
    ],
    ids=["found to be SSML", "a script"],
)
def test_voices_that_a_text_names_travel_to_the_replicas(text: str, options: SpeechOptions) -> None:
    pytest.importorskip("ray.serve", reason="needs the extra [ray]")
    from openbark.server.extras.ray_speaker import portable

    mine = Voice(np.arange(50), np.zeros((2, 75), np.int64), np.zeros((8, 75), np.int64), "mine")

    def find_voice(name: str) -> Voice:
        if name == "mine":
            return mine
        raise VoiceError(f"unknown voice {name!r}; this server has mine")

    sent = pickle.loads(pickle.dumps(portable(Utterance(text, options, find_voice))))
    np.testing.assert_array_equal(sent.find_voice("mine").semantic, mine.semantic)
    with pytest.raises(VoiceError, match="this server has mine"):
        sent.find_voice("lost")


def test_a_text_that_cannot_be_read_is_left_to_the_replica() -> None:
    pytest.importorskip("ray.serve", reason="needs the extra [ray]")
    from openbark.server.extras.ray_speaker import portable

    sent = portable(Utterance("<speak>Hello.", SpeechOptions(input_format="ssml", strict=True)))
    with pytest.raises(VoiceError, match="there is no voice 'mine'"):
        sent.find_voice("mine")
