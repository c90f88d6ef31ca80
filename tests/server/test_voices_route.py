"""Voices over HTTP: lists, uploads, owners, names that are no paths."""

from __future__ import annotations

import errno
import io
import os
import pickle
import threading
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from running_server import RunningServer

from openbark.errors import ParamError
from openbark.server.extras import consents
from openbark.server.extras.consents import ConsentStore, new_consent
from openbark.server.keys import key_line
from openbark.server.speech.uploads import Naming, StoredVoice, UploadedVoices
from openbark.server.speech.voice_book import read_voice_map
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
        assert server.speaker.started[-1].options.voice.fine.shape == (8, 75)
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


@pytest.mark.parametrize(
    "name",
    [
        "en_0",
        "alloy",
        "",
        " ",
        "a/b",
        "..\\x",
        "x" * 65,
        "a\nb",
        ".",
        "..",
        "-rf",
        "_a",
        "a b",
        "CON",
        "nul.txt",
        "com1",
        "a\u202eb",
        "a\u200bb",
        "\u0430lloy",
        "\ufffd",
        "EN_0",
        "en_O",
        "a11oy",
        "al1oy",
        "Alloy",
        "en-0",
        "en.0",
        "voice_" + "0" * 24,
        "name.",
        "caf\u00e9",
    ],
)
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


@pytest.mark.parametrize("name", ["mine", "My.voice-2", "0", "x" * 64, "voice_1", "console"])
def test_plain_names_are_taken(start: Start, tmp_path: Path, name: str) -> None:
    server = start(data_directory=tmp_path / "data")
    assert upload(server, voice_file(tmp_path), name).status_code == 200
    assert upload(server, voice_file(tmp_path), name).json()["error"]["code"] == "voice_name_taken"


def test_uploads_at_once_share_one_quota_and_one_name(tmp_path: Path) -> None:
    """Asked at the moment of adding, whatever was asked before the file was read."""
    uploads = UploadedVoices(tmp_path / "voices")
    fine = np.arange(8 * 75).reshape(8, 75) % 1024
    voice = Voice(np.arange(50), fine[:2], fine)
    barrier = threading.Barrier(8)

    def check(others: Sequence[StoredVoice]) -> None:
        if others:
            raise ValueError("taken")

    def add(number: int) -> bool:
        barrier.wait(30)
        try:
            uploads.add(voice, Naming("same", "me", None, check))
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(add, range(8))) == 1
    assert len(uploads.of("me")) == 1


def test_consents_at_once_share_one_quota(tmp_path: Path) -> None:
    store = ConsentStore(tmp_path / "consents")
    barrier = threading.Barrier(8)

    def add(number: int) -> bool:
        barrier.wait(30)
        return store.add(b"RIFF", new_consent(f"c{number}", "en", "me"), 3)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(add, range(8))) == 3


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "storage_full"),
        (errno.EDQUOT, 507, "storage_full"),
        (errno.EROFS, 500, "storage_failed"),
        (errno.EACCES, 500, "storage_failed"),
    ],
)
def test_a_disk_that_fails_is_no_fault_of_the_client(
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
    code: str,
) -> None:
    server = start(data_directory=tmp_path / "data")
    made = upload(server, voice_file(tmp_path)).json()["id"]

    def fails(*arguments: object, missing_ok: bool = False) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr("openbark.server.speech.uploads.write_atomically", fails)
    refused = upload(server, voice_file(tmp_path), "other")
    monkeypatch.setattr(Path, "unlink", fails)
    kept = server.client.delete(f"/v1/audio/voices/{made}")
    monkeypatch.undo()
    for answer in (refused, kept):
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.headers["x-should-retry"] == "false"
        assert str(tmp_path) not in answer.text
    # Nothing was changed: the name is free, the voice is there.
    assert upload(server, voice_file(tmp_path), "other").status_code == 200
    assert server.client.get(f"/v1/audio/voices/{made}").status_code == 200


def test_a_consent_that_cannot_be_kept_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ConsentStore(tmp_path / "consents")
    write = consents.write_atomically

    def fails_for_json(path: Path, data: bytes) -> None:
        if path.suffix == ".json":
            raise OSError(errno.ENOSPC, "full")
        write(path, data)

    monkeypatch.setattr(consents, "write_atomically", fails_for_json)
    with pytest.raises(OSError, match="full"):
        store.add(b"RIFF", new_consent("c", "en", "me"), 3)
    assert list((tmp_path / "consents").iterdir()) == [] and store.of("me") == []


def test_a_voice_that_another_server_removed_is_not_found(start: Start, tmp_path: Path) -> None:
    first, second = (start(data_directory=tmp_path / "data") for _ in range(2))
    made = upload(second, voice_file(tmp_path)).json()["id"]
    first = start(data_directory=tmp_path / "data")
    speak = {"input": "Hi.", "voice": made, "response_format": "pcm"}
    assert first.client.post("/v1/audio/speech", json=speak).status_code == 200
    assert second.client.delete(f"/v1/audio/voices/{made}").status_code == 200
    answer = first.client.post("/v1/audio/speech", json=speak)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "voice_not_found")
    assert str(tmp_path) not in answer.text
    assert first.client.get(f"/v1/audio/voices/{made}").status_code == 404


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "{}", "[]", "null", '{"id": 5}', "\x00", '{"id": "x"}']
)
def test_damaged_cards_do_not_stop_a_server(start: Start, tmp_path: Path, content: str) -> None:
    for folder, name in (("voices", "voice_"), ("consents", "cons_")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / f"{name}{'0' * 24}.json").write_text(content)
        (tmp_path / "data" / folder / f"{name}{'0' * 24}.npz").write_bytes(b"x")
    server = start(data_directory=tmp_path / "data")
    assert server.client.get("/v1/audio/voices").status_code == 200
    assert server.client.get("/v1/audio/voice_consents").json()["data"] == []


def test_a_voice_is_read_once(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(data_directory=tmp_path / "data")
    upload(server, voice_file(tmp_path))
    read: list[str] = []
    load = Voice.load

    def counted(path: Path, name: str | None = None) -> Voice:
        read.append(threading.current_thread().name)
        return load(path, name)

    monkeypatch.setattr(Voice, "load", counted)
    body = {"input": "Hi.", "voice": "mine", "response_format": "pcm", "script": "text"}
    body["speakers"] = {f"S{number}": "mine" for number in range(32)}
    for _ in range(3):
        assert server.client.post("/v1/audio/speech", json=body).status_code == 200
    # Off the event loop, which is the thread of the server.
    assert len(read) == 1 and read[0] != server._thread.name
