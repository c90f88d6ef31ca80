"""Who may come in: hosts, keys, body limits, and what every answer carries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import openai
import pytest
from running_server import RunningServer
from waiting import DEADLINE_SECONDS

from openbark.errors import ParamError
from openbark.server.keys import KeyRing, hash_key, key_line, new_key
from openbark.server.settings import load_settings

Start = Callable[..., RunningServer]
BODY = {"input": "Hello.", "response_format": "pcm"}


@pytest.fixture
def keyed(start: Start, tmp_path: Path) -> tuple[RunningServer, str, str]:
    """A server with two keys."""
    mine, yours = new_key(), new_key()
    file = tmp_path / "keys"
    file.write_text(f"# who may speak\n{key_line('me', mine)}\n{key_line('you', yours)}\n")
    return start(api_key_file=file, data_directory=tmp_path / "data"), mine, yours


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_the_key_there_is_no_speech(keyed: tuple[RunningServer, str, str]) -> None:
    server, mine, _ = keyed
    for headers in ({}, bearer("wrong"), {"Authorization": mine}, {"Authorization": "Basic x"}):
        answer = server.client.post("/v1/audio/speech", json=BODY, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (
        server.client.post("/v1/audio/speech", json=BODY, headers=bearer(mine)).status_code == 200
    )
    with pytest.raises(openai.AuthenticationError):
        client = server.official_client(api_key="wrong")
        client.audio.speech.create(model="bark", voice="en_0", input="Hello.")


@pytest.mark.parametrize(
    ("path", "open_by_default"),
    [
        ("/", True),
        ("/docs", True),
        ("/openapi.json", True),
        ("/health/live", True),
        ("/health/ready", True),
        ("/v1/models", True),
        ("/v1/audio/models", True),
        ("/v1/audio/voices", True),
        ("/metrics", False),
        ("/v1/audio/voices/en_0", False),
        ("/nothing", False),
    ],
)
def test_only_listed_paths_are_open(
    keyed: tuple[RunningServer, str, str], path: str, open_by_default: bool
) -> None:
    answer = keyed[0].client.get(path)
    assert (answer.status_code != 401) == open_by_default


def test_lists_can_be_closed(start: Start, tmp_path: Path) -> None:
    server = start(api_key="secret", public_lists=False)
    assert server.client.get("/v1/models").status_code == 401
    assert server.client.get("/v1/models", headers=bearer("secret")).status_code == 200


def test_a_key_has_so_many_requests_at_once(start: Start) -> None:
    server = start(api_key="secret", streams_per_key=1, hold_after=1)
    long = {"input": "long " * 200, "response_format": "pcm"}
    url, headers = f"{server.url}/v1/audio/speech", bearer("secret")
    with httpx.stream("POST", url, json=long, headers=headers, timeout=DEADLINE_SECONDS):
        answer = httpx.post(url, json=BODY, headers=headers, timeout=DEADLINE_SECONDS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(answer.headers["retry-after"]) <= 120


def test_other_host_names_are_refused(start: Start) -> None:
    server = start(allowed_hosts=("speech.example",))
    for name, status in (
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("", 400),
        ("speech.example", 200),
        ("localhost:99", 200),
        ("[::1]:8000", 200),
        ("127.0.0.5", 200),
    ):
        answer = server.client.get("/health/live", headers={"Host": name})
        assert answer.status_code == status, name
    answer = server.client.get("/health/live", headers={"Host": "evil.example"})
    assert answer.json()["error"]["code"] == "host_not_allowed"


def test_answers_carry_an_id_and_the_policies(server: RunningServer) -> None:
    answer = server.client.get("/", headers={"x-request-id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
    odd = server.client.get("/", headers={"x-request-id": "a b"})
    assert odd.headers["x-request-id"].startswith("req_")


def test_a_large_body_is_refused_before_it_is_read(start: Start) -> None:
    server = start(max_body_bytes=2048, max_input_chars=2000)
    body = {"input": "x" * 5000}
    declared = server.client.post("/v1/audio/speech", json=body)
    assert (declared.status_code, declared.json()["error"]["code"]) == (413, "too_large")

    def chunks():
        for _ in range(100):
            yield b"x" * 1000

    streamed = server.client.post("/v1/audio/speech", content=chunks())
    assert streamed.status_code == 413
    assert server.speaker.started == [] or server.speaker.started[-1].text == "Hello."


def test_keys_are_kept_as_hashes_and_odd_lines_refused(tmp_path: Path) -> None:
    key = new_key()
    assert key not in key_line("me", key) and hash_key(key) in key_line("me", key)
    ring = KeyRing.read(None, key)
    assert ring.owner(f"Bearer {key}") == "default"
    assert ring.owner(f"bearer  {key}") == "default"
    assert ring.owner("Bearer ") is None and ring.owner(None) is None
    file = tmp_path / "keys"
    file.write_text("me plain-text-key\n")
    with pytest.raises(ParamError, match="line 1"):
        KeyRing.read(file)
    with pytest.raises(ParamError, match="name"):
        key_line("../x", key)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "speech.example"])
def test_no_key_no_listening_beyond_this_machine(host: str) -> None:
    settings = load_settings(None, {"host": host})
    with pytest.raises(ParamError, match="--insecure"):
        settings.keys()
    assert not load_settings(None, {"host": host, "insecure": True}).keys().required
    assert load_settings(None, {"host": host, "api_key": "k"}).keys().required
    wyoming = {"host": host, "api_key": "k", "wyoming_port": 10200}
    with pytest.raises(ParamError, match="Wyoming protocol knows no keys"):
        load_settings(None, wyoming).keys()
    assert load_settings(None, {**wyoming, "insecure": True}).keys().required


def test_flags_win_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.toml"
    file.write_text("port = 1000\nmax_queued = 5\nmax_rows = 3\n")
    monkeypatch.setenv("OPENBARK_SERVER_PORT", "2000")
    monkeypatch.setenv("OPENBARK_SERVER_MAX_QUEUED", "6")
    settings = load_settings(file, {"port": 3000, "host": None})
    assert (settings.port, settings.max_queued, settings.max_rows) == (3000, 6, 3)
    file.write_text("nonsense = 1\n")
    with pytest.raises(ParamError, match="no setting 'nonsense'"):
        load_settings(file)
    with pytest.raises(ParamError, match=r"port .* is 'many'"):
        load_settings(None, {"port": "many"})


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"# only a comment\n", b"\xff\xfe\x00", b"me plain-key\n"]
)
def test_a_key_file_without_a_key_does_not_open_the_server(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(ParamError, match="key"):
        KeyRing.read(file)
    with pytest.raises(ParamError, match="key"):
        KeyRing.read(file, "plain")


@pytest.mark.parametrize("plain", ["", " ", "\n"])
def test_an_empty_key_does_not_open_the_server(plain: str) -> None:
    with pytest.raises(ParamError, match="empty"):
        load_settings(None, {"api_key": plain}).keys()


def test_a_key_file_of_windows_is_read(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\xef\xbb\xbf" + key_line("me", "secret").encode() + b"\r\n")
    assert KeyRing.read(file).owner("Bearer secret") == "me"
