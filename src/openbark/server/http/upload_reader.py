"""Files of strangers are read in a process of their own, which can be killed: a bomb, a decoder that spins or
crashes costs its upload and nothing else. The process is `openbark.server.http.upload_child`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from openbark.audio.bounded import RecordingFacts
from openbark.errors import AudioError, VoiceError
from openbark.server.errors import ApiError, busy, invalid
from openbark.voices.npz import ARRAY_KEYS
from openbark.voices.voice import Voice

_log = logging.getLogger("openbark.server")

_SCRIPT = (
    "import sys; from openbark.server.http.upload_child import main; sys.exit(main(sys.argv[1:]))"
)
_COMMAND = (sys.executable, "-P", "-c", _SCRIPT)
_AT_ONCE = 2
_MOST_WAITING = 16
_HEADER_BYTES = 256 << 10
_WIDTH = 8
_END_SECONDS = 2.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class ReadLimits:
    """wall_seconds, cpu_seconds, memory_bytes: of the process that reads; voice_bytes: of an unpacked voice;
    recording_seconds: of a recording."""

    wall_seconds: float = 10.0
    cpu_seconds: int = 10
    memory_bytes: int = 256 << 20
    voice_bytes: int = 1 << 20
    recording_seconds: float = 120.0

    @classmethod
    def within(cls, seconds: float, voice_bytes: int, recording_seconds: float) -> ReadLimits:
        """Limits with the same time for the clock and for the work."""
        return cls(
            seconds,
            math.ceil(seconds),
            voice_bytes=voice_bytes,
            recording_seconds=recording_seconds,
        )


class UploadReader:
    """Reads uploads, a few at once. command: what is started; tests put broken readers in its place."""

    def __init__(self, limits: ReadLimits, command: Sequence[str] = _COMMAND) -> None:
        self._limits = limits
        self.command = tuple(command)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def voice(self, data: bytes, name: str) -> Voice:
        """The voice in a file. Raises VoiceError for one that is none, ApiError 400 `file_unreadable` where the
        reading did not end well, 503 when too many wait."""
        header, rest = await self._read("voice", data)
        if "error" in header:
            raise VoiceError(header["error"])
        return _voice(header["voice"], rest, name)

    async def recording(self, data: bytes) -> RecordingFacts:
        """Facts of a recording. Raises AudioError for one that is none or too long; ApiError as `voice`."""
        header, _ = await self._read("recording", data)
        if "error" in header:
            raise AudioError(header["error"])
        return RecordingFacts(**header["recording"])

    async def _read(self, kind: str, data: bytes) -> tuple[dict[str, Any], bytes]:
        if self._waiting >= _MOST_WAITING:
            raise busy("too many uploads are being read", self._limits.wall_seconds)
        self._waiting += 1
        try:
            async with self._places:
                found = await self._run(kind, data)
        finally:
            self._waiting -= 1
        header, _, rest = found.partition(b"\n")
        return json.loads(header), rest

    async def _run(self, kind: str, data: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self.command,
            kind,
            json.dumps(asdict(self._limits)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        most = _HEADER_BYTES + _WIDTH * self._limits.voice_bytes
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                found = await _exchange(process, data, most)
                status = await process.wait()
        except TimeoutError as error:
            raise _unreadable(f"took longer than {self._limits.wall_seconds:g} s") from error
        finally:
            await asyncio.shield(_end(process))
        if status != 0 or len(found) > most:
            _log.warning("the reader of an upload ended with status %d", status)
            raise _unreadable("failed")
        return found


async def _exchange(process: asyncio.subprocess.Process, data: bytes, most: int) -> bytes:
    """Hand in the file, and take what comes back, at most one byte more than `most`."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a process without pipes")
    # One that ends early has said why, or has crashed.
    with suppress(ConnectionError):
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
    found = bytearray()
    while len(found) <= most and (part := await process.stdout.read(most + 1 - len(found))):
        found += part
    return bytes(found)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdout is not None:
        # Its end is noticed once its output is read to the end.
        with suppress(TimeoutError):
            await asyncio.wait_for(process.stdout.read(), _END_SECONDS)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _END_SECONDS)


def _unreadable(what: str) -> ApiError:
    return invalid(
        "file_unreadable", f"reading the file {what}; it is damaged, or not what it says it is"
    )


def _voice(header: dict[str, Any], data: bytes, name: str) -> Voice:
    arrays = []
    start = 0
    for shape in header["shapes"]:
        stop = start + math.prod(shape) * _WIDTH
        arrays.append(np.frombuffer(data[start:stop], "<i8").reshape(shape))
        start = stop
    fields = dict(zip(ARRAY_KEYS, arrays, strict=True))
    return Voice(**fields, name=name, metadata=header["metadata"])


def _environment() -> dict[str, str]:
    """What the process needs, and no key or token of ours."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    # A thread each would take address space.
    return {**kept, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
