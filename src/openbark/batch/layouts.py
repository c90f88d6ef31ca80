"""What a shard leaves besides its manifest: a tar for WebDataset, a folder of files, a Parquet file, or OpenAI's
answer lines. The same clips give the same bytes, on every machine and at every try.
"""

from __future__ import annotations

import base64
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbark.batch.commit import commit_bytes, commit_folder, commit_table, dumped, part_name
from openbark.errors import ParamError

LAYOUTS = ("tar", "files", "parquet", "openai")
"""Ways to store the audio of a shard."""

AUDIO_FORMATS = {"opus": "ogg", "flac": "flac", "wav": "wav", "mp3": "mp3"}
"""Formats of a clip, with the names of the encoders."""

_SCHEMA = {"id": "string", "audio": "binary", "format": "string", "seconds": "float64"}
_MAX_NAME = 120


@dataclass(frozen=True)
class Clip:
    """An encoded clip. facts: what its JSON says of it; they depend on nothing but the line and the job."""

    id: str
    format: str
    data: bytes
    seconds: float
    facts: Mapping[str, Any]


def check_layout(layout: str, format: str) -> None:
    """Raise ParamError for names that are not allowed."""
    if layout not in LAYOUTS:
        raise ParamError(f"layout is {layout!r}; allowed: {', '.join(LAYOUTS)}")
    if format not in AUDIO_FORMATS:
        raise ParamError(f"format is {format!r}; allowed: {', '.join(AUDIO_FORMATS)}")


def file_name(id: str) -> str:
    """A name for any id that every file system and WebDataset take: letters, digits, - and _; other bytes as %XX.

    Different ids have different names, but for those over the limit, which their manifest tells apart.
    """
    return re.sub(rb"[^A-Za-z0-9_-]", lambda found: b"%%%02X" % found[0][0], id.encode()).decode()[
        :_MAX_NAME
    ]


def write_part(directory: Path, index: int, layout: str, clips: Sequence[Clip]) -> list[int]:
    """Commit the audio of a shard; for each clip its offset in the part, -1 where a part has none."""
    name = part_name(index)
    if layout == "tar":
        data, offsets = _tar(clips)
        commit_bytes(directory / f"{name}.tar", data)
        return offsets
    if layout == "files":
        files = {f"{stem}.{clip.format}": clip.data for stem, clip in _named(clips)}
        files |= {f"{stem}.json": dumped(clip.facts) for stem, clip in _named(clips)}
        commit_folder(directory / name, files)
    elif layout == "parquet":
        rows = [
            {"id": c.id, "audio": c.data, "format": c.format, "seconds": c.seconds} for c in clips
        ]
        commit_table(directory / f"{name}.audio.parquet", rows, _SCHEMA)
    else:
        commit_bytes(directory / f"{name}.jsonl", b"".join(map(_answer, clips)))
    return [-1] * len(clips)


def _named(clips: Sequence[Clip]) -> list[tuple[str, Clip]]:
    """Clips with names that differ, also where long ids were cut."""
    seen: dict[str, int] = {}
    named = []
    for clip in clips:
        stem = file_name(clip.id)
        count = seen[stem.lower()] = seen.get(stem.lower(), 0) + 1
        named.append((stem if count == 1 else f"{stem}~{count}", clip))
    return named


def _tar(clips: Sequence[Clip]) -> tuple[bytes, list[int]]:
    sink = io.BytesIO()
    offsets = []
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for stem, clip in _named(clips):
            offsets.append(tar.offset)
            for name, data in (
                (f"{stem}.{clip.format}", clip.data),
                (f"{stem}.json", dumped(clip.facts)),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return sink.getvalue(), offsets


def _answer(clip: Clip) -> bytes:
    body = {
        "audio": base64.b64encode(clip.data).decode(),
        "format": clip.format,
        "seed": clip.facts["seed"],
    }
    response = {"status_code": 200, "body": body}
    return dumped({"custom_id": clip.id, "response": response, "error": None})
