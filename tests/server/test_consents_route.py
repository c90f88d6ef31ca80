"""Consents over HTTP: kept as they came, by owner, over a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from running_server import RunningServer

from openbark.audio import encode_audio
from openbark.server.keys import key_line

Start = Callable[..., RunningServer]
PATH = "/v1/audio/voice_consents"
YES = encode_audio(np.zeros(2400, dtype=np.float32), 24_000, "wav")


def create(server: RunningServer, headers: dict[str, str] | None = None, **fields: str):
    data = {"name": "Anna agrees", "language": "en-US", **fields}
    files = {"recording": ("yes.wav", YES, "audio/wav")}
    return server.client.post(PATH, data=data, files=files, headers=headers)


def test_a_consent_is_kept_renamed_listed_and_deleted(start: Start, tmp_path: Path) -> None:
    server = start(data_directory=tmp_path)
    made = create(server).json()
    assert made["object"] == "audio.voice_consent" and made["language"] == "en-US"
    path = f"{PATH}/{made['id']}"
    assert server.client.get(path).json() == made
    assert server.client.post(path, json={"name": "Ben"}).json()["name"] == "Ben"
    again = start(data_directory=tmp_path)
    listed = again.client.get(PATH).json()
    assert (listed["first_id"], listed["data"][0]["name"]) == (made["id"], "Ben")
    assert (tmp_path / "consents" / f"{made['id']}.audio").read_bytes() == YES
    assert again.client.delete(path).json()["deleted"]
    assert again.client.get(path).status_code == 404
    assert list((tmp_path / "consents").iterdir()) == []


def test_a_consent_belongs_to_its_key(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{key_line('a', 'key-a')}\n{key_line('b', 'key-b')}\n")
    server = start(api_key_file=keys, data_directory=tmp_path / "data")
    mine, theirs = ({"Authorization": f"Bearer key-{name}"} for name in "ab")
    made = create(server, mine).json()
    path = f"{PATH}/{made['id']}"
    assert server.client.get(path, headers=theirs).status_code == 404
    assert server.client.delete(path, headers=theirs).status_code == 404
    assert server.client.get(PATH, headers=theirs).json()["data"] == []


@pytest.mark.parametrize(
    "fields", [{"language": "not a language"}, {"name": ""}, {"name": "x" * 300}]
)
def test_odd_fields_are_refused(start: Start, tmp_path: Path, fields: dict[str, str]) -> None:
    assert create(start(data_directory=tmp_path), **fields).status_code == 400


def test_limits_and_servers_that_keep_nothing(start: Start, tmp_path: Path) -> None:
    server = start(data_directory=tmp_path, voices_per_key=1)
    assert create(server).status_code == 200
    assert create(server).json()["error"]["code"] == "too_many_consents"
    assert create(start()).status_code == 403
