"""The process that reads one upload: KIND and LIMITS are its arguments, the file comes on stdin.

    stdout  one line of JSON, {"voice": ...}, {"recording": ...} or {"error": message}; after a voice its three
            arrays as little-endian int64, in the order of `ARRAY_KEYS`

It binds itself before it reads a byte: seconds of work, memory, no files, no core. The parent process holds a clock
besides. Imports little, since every upload waits for that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openbark.errors import OpenBarkError

_LABEL = "the file"
_OPEN_FILES = 8


def main(arguments: list[str]) -> int:
    """Read what comes on stdin as arguments[0]; arguments[1] has the limits, as JSON."""
    kind, limits = arguments[0], json.loads(arguments[1])
    read = KINDS[kind](limits)
    _bind(limits["cpu_seconds"], limits["memory_bytes"])
    try:
        header, rest = read(sys.stdin.buffer.read())
    except OpenBarkError as error:
        header, rest = {"error": str(error)}, b""
    except MemoryError:
        header, rest = {"error": f"{_LABEL} needs more memory than one of its kind"}, b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + rest)
    return 0


_Reader = Callable[[bytes], tuple[dict[str, Any], bytes]]


def _voice(limits: Mapping[str, Any]) -> _Reader:
    from openbark.voices.npz import ARRAY_KEYS, unpack_npz

    def read(data: bytes) -> tuple[dict[str, Any], bytes]:
        found = unpack_npz(data, _LABEL, limits["voice_bytes"])
        arrays = [found.arrays[key].astype("<i8") for key in ARRAY_KEYS.values()]
        shapes = [array.shape for array in arrays]
        header = {"voice": {"shapes": shapes, "metadata": dict(found.metadata)}}
        return header, b"".join(array.tobytes() for array in arrays)

    return read


def _recording(limits: Mapping[str, Any]) -> _Reader:
    # Loaded now: once bound, nothing more can be.
    import soundfile  # noqa: F401

    from openbark.audio.bounded import AudioBounds, inspect_recording

    def read(data: bytes) -> tuple[dict[str, Any], bytes]:
        facts = inspect_recording(data, AudioBounds(seconds=limits["recording_seconds"]))
        return {"recording": asdict(facts)}, b""

    return read


KINDS: Mapping[str, Callable[[Mapping[str, Any]], _Reader]] = MappingProxyType(
    {"voice": _voice, "recording": _recording}
)
"""What can be read; each makes a reader from the limits."""


def _bind(cpu_seconds: int, memory_bytes: int) -> None:
    """Limits on this process, where the system has them."""
    try:
        import resource
    except ImportError:
        return
    bounds = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
    }
    in_use = _address_space(resource.getpagesize())
    if in_use is not None:
        bounds[resource.RLIMIT_AS] = in_use + memory_bytes
    for number, bound in bounds.items():
        resource.setrlimit(number, (bound, bound))


def _address_space(page_bytes: int) -> int | None:
    """Bytes of address space in use, where the system tells."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * page_bytes
    except (OSError, ValueError):
        return None
