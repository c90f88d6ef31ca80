"""Uploads that mean harm: each costs its own request, and leaves no process and no file behind."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from running_server import RunningServer
from waiting import DEADLINE_SECONDS, reached, wait_until

from openbark.errors import AudioError, VoiceError
from openbark.server.errors import ApiError
from openbark.server.http.upload_reader import ReadLimits, UploadReader
from openbark.voices.voice import Voice

Start = Callable[..., RunningServer]
RATE = 24_000
BROKEN = {
    "spins": "while True: pass",
    "sleeps": "import time; time.sleep(60)",
    "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "says nothing": "import sys; sys.exit(3)",
    "never stops talking": "while True: print('x' * 10000)",
}


def voice_file(**changed: np.ndarray) -> bytes:
    fine = np.arange(8 * 75).reshape(8, 75) % 1024
    arrays = {
        "semantic_prompt": np.arange(50),
        "coarse_prompt": fine[:2],
        "fine_prompt": fine,
        **changed,
    }
    memory = io.BytesIO()
    np.savez_compressed(memory, **arrays)
    return memory.getvalue()


def recording(seconds: float, format: str = "WAV", rate: int = RATE, channels: int = 1) -> bytes:
    memory = io.BytesIO()
    samples = np.zeros((int(seconds * rate), channels), dtype=np.float32)
    soundfile.write(memory, samples, rate, format=format)
    return memory.getvalue()


def children() -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(OSError):  # a thread that ends while it is looked at
            found.update(map(int, (task / "children").read_text().split()))
    return found


@pytest.fixture(autouse=True)
def nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    before, temporary = children(), tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    wait_until(lambda: not children() - before, "the end of all child processes")
    assert list(temporary.iterdir()) == []


def read(kind: str, data: bytes, limits: ReadLimits | None = None, command: str = "") -> object:
    how = {"command": (sys.executable, "-c", command)} if command else {}
    reader = UploadReader(limits or ReadLimits(), **how)
    work = reader.voice(data, "mine") if kind == "voice" else reader.recording(data)
    return asyncio.run(asyncio.wait_for(work, DEADLINE_SECONDS))


def test_a_voice_comes_through_unchanged() -> None:
    found = read("voice", voice_file(metadata=np.array('{"language": "en"}')))
    assert (
        isinstance(found, Voice)
        and found.name == "mine"
        and dict(found.metadata) == {"language": "en"}
    )
    np.testing.assert_array_equal(found.fine, np.arange(8 * 75).reshape(8, 75) % 1024)
    np.testing.assert_array_equal(found.semantic, np.arange(50))


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_recording_is_measured_by_its_samples(format: str) -> None:
    found = read("recording", recording(1.5, format, channels=2))
    assert (found.sample_rate, found.channels) == (RATE, 2)
    assert found.seconds == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"RIFF....WAVE", "cannot be read as audio"),
        (b"", "cannot be read as audio"),
        (recording(0.0), "no audio samples"),
        (recording(3.0), "longer than 2 s"),
        (recording(3.0, "FLAC"), "longer than 2 s"),
        (recording(0.1, channels=9), "9 channels"),
        (recording(0.1, rate=4000), "4000 Hz"),
    ],
)
def test_recordings_outside_the_bounds_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(AudioError, match=said):
        read("recording", data, ReadLimits(recording_seconds=2.0))


def test_a_header_that_promises_little_does_not_let_much_in() -> None:
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * 3 * RATE))
    data = bytearray(memory.getvalue())
    data[40:44] = (0xFFFFFFFF).to_bytes(4, "little")
    with pytest.raises(AudioError, match="longer than 2 s"):
        read("recording", bytes(data), ReadLimits(recording_seconds=2.0))
    # A FLAC of silence: some kilobytes that unfold to an hour.
    bomb = recording(3600, "FLAC", rate=8000)
    assert len(bomb) < 1 << 20
    with pytest.raises(AudioError, match="longer than 120 s"):
        read("recording", bomb)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"semantic_prompt": np.zeros(40 << 20, np.uint8)}, "unpacks to"),
        ({"semantic_prompt": np.zeros(50)}, "whole numbers"),
        ({"coarse_prompt": np.arange(75)}, "shape"),
        ({"fine_prompt": np.array([os.getcwd])}, "pickled|whole"),
    ],
)
def test_voices_that_are_none_are_refused(changed: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(VoiceError, match=said):
        read("voice", voice_file(**changed))


def test_a_shape_that_lies_is_found_before_anything_is_unpacked() -> None:
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }"
    array = b"\x93NUMPY\x01\x00v\x00" + header.ljust(117) + b"\n" + bytes(800)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in ("semantic", "coarse", "fine"):
            archive.writestr(f"{name}_prompt.npy", array)
    with pytest.raises(VoiceError, match="disagree"):
        read("voice", memory.getvalue())


@pytest.mark.parametrize("what", BROKEN)
def test_a_reader_that_fails_is_the_file_s_fault(what: str) -> None:
    with pytest.raises(ApiError) as caught:
        read("voice", voice_file(), ReadLimits(wall_seconds=0.5), BROKEN[what])
    assert (caught.value.status, caught.value.code) == (400, "file_unreadable")


@pytest.mark.parametrize(
    ("work", "cpu_seconds", "outcome"),
    [
        ("while True: pass", 1, "killed"),
        # A busy machine needs more than a second to hand out this much memory.
        ("kept = [bytearray(1 << 20) for _ in range(600)]", 60, "MemoryError"),
        ("open(sys.argv[3], 'wb', 0).write(b'x' * 100)", 60, "OSError"),
    ],
    ids=["time", "memory", "files"],
)
def test_the_process_binds_itself(
    tmp_path: Path, work: str, cpu_seconds: int, outcome: str
) -> None:
    script = (
        "import sys, traceback\nfrom openbark.server.http import upload_child\n"
        f"upload_child._bind({cpu_seconds}, 256 << 20)\n"
        f"try:\n    {work}\nexcept Exception as error:\n    print(type(error).__name__)\n"
    )
    command = [sys.executable, "-c", script, "", "", str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if outcome == "killed":
        assert done.returncode < 0
    else:
        assert done.stdout.strip() == outcome
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_a_caller_that_leaves_kills_the_reader() -> None:
    before = children()

    async def run() -> None:
        reader = UploadReader(ReadLimits(), (sys.executable, "-c", BROKEN["spins"]))
        reading = asyncio.ensure_future(reader.voice(voice_file(), "mine"))
        await reached(lambda: children() - before, "a child process")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(run())


def test_a_crowd_of_uploads_is_turned_away() -> None:
    async def run() -> list[object]:
        reader = UploadReader(ReadLimits(0.2), (sys.executable, "-c", BROKEN["sleeps"]))
        work = [reader.voice(b"", "mine") for _ in range(18)]
        return await asyncio.gather(*work, return_exceptions=True)

    found = asyncio.run(run())
    assert [error.status for error in found].count(503) == 2


@pytest.mark.parametrize("what", ["spins", "crashes"])
def test_the_server_lives_on(start: Start, tmp_path: Path, what: str) -> None:
    server = start(data_directory=tmp_path / "data", decode_timeout=3.0)
    good, server.parts.reader.command = (
        server.parts.reader.command,
        (
            sys.executable,
            "-c",
            BROKEN[what],
        ),
    )

    def upload(path: str, field: str, data: bytes, **fields: str):
        files = {field: ("file", data, "application/octet-stream")}
        return server.client.post(path, data={"name": "mine", **fields}, files=files)

    answer = upload("/v1/audio/voices", "audio_sample", voice_file())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "file_unreadable")
    consent = ("/v1/audio/voice_consents", "recording", recording(0.5))
    assert upload(*consent, language="en").json()["error"]["code"] == "file_unreadable"
    assert server.client.get("/health/ready").status_code == 200
    server.parts.reader.command = good
    assert upload("/v1/audio/voices", "audio_sample", voice_file()).status_code == 200
    assert upload(*consent, language="en").status_code == 200
    noise = ("/v1/audio/voice_consents", "recording", b"no sound at all")
    assert upload(*noise, language="en").status_code == 415


def test_the_child_imports_little() -> None:
    script = (
        "import sys, openbark.server.http.upload_child as child\n"
        "child.KINDS['voice']({'voice_bytes': 1})\n"
        "print([name for name in ('fastapi', 'torch', 'soundfile', 'pydantic', 'asyncio') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
