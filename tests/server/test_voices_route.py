"""Voices over HTTP: lists, uploads, owners, names that are no paths."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from running_server import RunningServer

from openbark.errors import ParamError
from openbark.server.keys import key_line
from openbark.server.voice_book import read_voice_map
from openbark.voices.voice import Voice

Start = Callable[..., RunningServer]


def voice_file(tmp_path: Path) -> bytes:
    fine = np.arange(8 * 75).reshape(8, 75) % 1024
    path = tmp_path / "mine.npz"
    Voice(np.arange(50), fine[:2], fine).save(path)
    return path.read_bytes()


def upload(server: RunningServer, data: bytes, name: str = "mine", key: str | None = None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return server.client.post(
        "/v1/audio/voices",
        data={"name": name, "type": "prompt"},
        files={"audio_sample": ("mine.npz", data, "application/x-npz")},
        headers=headers,
    )


def test_lists_hold_objects_for_every_client(server: RunningServer) -> None:
    listed = server.client.get("/v1/audio/voices").json()
    assert {"id": "en_0", "name": "en_0"}.items() <= listed["voices"][0].items()
    assert "alloy" in [voice["id"] for voice in listed["data"]]
    assert server.client.get("/v1/audio/models").json()["models"][0] == {"id": "fake"}
    assert server.client.get("/v1/models/tts-1").json()["object"] == "model"
    assert server.client.get("/v1/models/none").status_code == 404


def test_an_upload_is_listed_spoken_with_kept_and_forgotten(start: Start, tmp_path: Path) -> None:
    server = start(data_directory=tmp_path / "data")
    data = voice_file(tmp_path)
    made = upload(server, data).json()
    assert made["object"] == "audio.voice" and made["name"] == "mine"
    for named in (made["id"], "mine", {"id": made["id"]}):
        body = {"input": "Hello.", "voice": named, "response_format": "pcm"}
        assert server.client.post("/v1/audio/speech", json=body).status_code == 200
        assert server.speaker.started[-1].voice.fine.shape == (8, 75)
    assert server.client.get(f"/v1/audio/voices/{made['id']}").content[:2] == b"PK"
    # A new server on the same folder still has it.
    again = start(data_directory=tmp_path / "data")
    assert made["id"] in [
        voice["id"] for voice in again.client.get("/v1/audio/voices").json()["voices"]
    ]
    gone = again.client.delete(f"/v1/audio/voices/{made['id']}").json()
    assert gone == {"id": made["id"], "deleted": True, "object": "audio.voice.deleted"}
    assert again.client.delete(f"/v1/audio/voices/{made['id']}").status_code == 404
    assert list((tmp_path / "data" / "voices").iterdir()) == []


def test_a_voice_belongs_to_its_key(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{key_line('a', 'key-a')}\n{key_line('b', 'key-b')}\n")
    server = start(api_key_file=file, data_directory=tmp_path / "data")
    made = upload(server, voice_file(tmp_path), key="key-a").json()
    theirs = {"Authorization": "Bearer key-b"}
    path = f"/v1/audio/voices/{made['id']}"
    missing = server.client.delete("/v1/audio/voices/voice_none", headers=theirs)
    for answer in (
        server.client.get(path, headers=theirs),
        server.client.delete(path, headers=theirs),
    ):
        assert answer.status_code == missing.status_code == 404
    assert upload(server, voice_file(tmp_path), key="key-b").status_code == 200


@pytest.mark.parametrize("name", ["en_0", "alloy", "", " ", "a/b", "..\\x", "x" * 65, "a\nb"])
def test_names_that_are_taken_or_odd_are_refused(start: Start, tmp_path: Path, name: str) -> None:
    answer = upload(start(data_directory=tmp_path / "data"), voice_file(tmp_path), name)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in (
        "voice_name_taken", "voice_name_invalid", "parameter_invalid",
    )  # fmt: skip


def _pickled() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        array = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        archive.writestr("semantic_prompt.npy", array.ljust(128) + pickle.dumps([print]))
    return memory.getvalue()


def _bomb() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("semantic", "coarse", "fine"):
            archive.writestr(f"{name}_prompt.npy", bytes(80 << 20))
    return memory.getvalue()


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"RIFF....WAVE", 415), (b"PK\x03\x04 broken", 400), (_pickled(), 400), (_bomb(), 400)],
    ids=["recording", "broken", "pickle", "bomb"],
)
def test_files_that_are_no_voices_are_refused(
    start: Start, tmp_path: Path, data: bytes, status: int
) -> None:
    server = start(data_directory=tmp_path / "data")
    assert upload(server, data).status_code == status
    assert list((tmp_path / "data" / "voices").iterdir()) == []


def test_limits_of_size_and_number(start: Start, tmp_path: Path) -> None:
    data = voice_file(tmp_path)
    server = start(data_directory=tmp_path / "data", voices_per_key=1)
    assert upload(server, data, "one").status_code == 200
    assert upload(server, data, "two").json()["error"]["code"] == "too_many_voices"
    small = start(data_directory=tmp_path / "other", max_upload_bytes=1024)
    assert upload(small, bytes(2048)).status_code == 413
    assert upload(start(), data).status_code == 403


def test_the_voice_map_can_be_replaced(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    file.write_text('[voices]\nherald = ["absent", "en_1"]\nnobody = "absent"\n')
    server = start(voice_map=file)
    names = [voice["id"] for voice in server.client.get("/v1/audio/voices").json()["voices"]]
    assert "herald" in names and "nobody" not in names and "alloy" not in names
    for broken in ("voices = 3", "[voices]\nx = 3", "[voices"):
        file.write_text(broken)
        with pytest.raises(ParamError, match="voice map"):
            read_voice_map(file)
