"""Web pages of other sites: refused by default, allowed by name; batches need a JSON type."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from running_server import RunningServer
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from openbark.errors import ParamError
from openbark.server.settings import load_settings

Start = Callable[..., RunningServer]
LINE = b'{"custom_id": "a", "body": {"input": "Hi.", "response_format": "pcm"}}'
BODY = {"input": "Hi.", "response_format": "pcm"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "file://"}, 403),
        ({"Origin": ""}, 200),
        ({"Origin": "OWN"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(
    server: RunningServer, headers: dict[str, str], status: int
) -> None:
    sent = {name: server.url if value == "OWN" else value for name, value in headers.items()}
    answer = server.client.post("/v1/audio/speech", json=BODY, headers=sent)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "origin_not_allowed"
        assert "access-control-allow-origin" not in answer.headers
    assert server.client.get("/health/live", headers=sent).status_code == 200


@pytest.mark.parametrize("path", ["speech/batch", "voices", "voice_consents", "speech/plan"])
def test_every_route_that_changes_or_makes_something_is_closed_to_them(
    server: RunningServer, path: str
) -> None:
    foreign = {"Origin": "http://evil.example", "content-type": "text/plain"}
    url = f"/v1/audio/{path}"
    assert server.client.post(url, content=LINE, headers=foreign).status_code == 403
    assert server.client.delete(f"{url}/x", headers=foreign).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_websocket_of_another_site_is_refused(server: RunningServer, origin: str) -> None:
    url = server.url.replace("http", "ws") + "/v1/audio/speech/stream"
    with pytest.raises(InvalidStatus):
        connect(url, proxy=None, origin=origin)  # type: ignore[arg-type]
    with connect(url, proxy=None, origin=server.url) as own:  # type: ignore[arg-type]
        own.send('{"type": "session.close"}')


def test_an_origin_can_be_allowed(start: Start) -> None:
    server = start(cors_origins=("https://app.example",), api_key="secret")
    page = {"Origin": "https://app.example"}
    asked = {
        **page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    before = server.client.options("/v1/audio/speech", headers=asked)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in before.headers["access-control-allow-headers"]
    key = {"Authorization": "Bearer secret"}
    answer = server.client.post("/v1/audio/speech", json=BODY, headers={**page, **key})
    assert answer.status_code == 200 and answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    # A page may read why it was refused; another page may not do anything.
    refused = server.client.post("/v1/audio/speech", json=BODY, headers=page)
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (401, True)
    other = {"Origin": "https://other.example", **key}
    assert server.client.post("/v1/audio/speech", json=BODY, headers=other).status_code == 403
    asked["Origin"] = "https://other.example"
    assert server.client.options("/v1/audio/speech", headers=asked).status_code != 204


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/page", "https://"])
def test_what_is_not_an_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ParamError, match="not an origin"):
        load_settings(None, {"cors_origins": (origin,)})


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_told_of_its_header(
    server: RunningServer, kind: str | None
) -> None:
    headers = {"content-type": kind} if kind else {}
    for path, content in (("", b'{"input": "Hi."}'), ("/batch", LINE), ("/plan", b"{}")):
        answer = server.client.post(f"/v1/audio/speech{path}", content=content, headers=headers)
        assert answer.status_code == 415
        assert "Content-Type: application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "kind", ["application/json", "application/jsonl; charset=utf-8", "application/x-ndjson"]
)
def test_a_batch_is_json_or_json_lines(server: RunningServer, kind: str) -> None:
    answer = server.client.post(
        "/v1/audio/speech/batch", content=LINE, headers={"content-type": kind}
    )
    assert answer.status_code == 200 and answer.json()["custom_id"] == "a"
