"""One shard: its lines spoken, encoded and committed. The same code on one machine and on many.

Knows neither processes nor which shard comes next. What decides the sound of a line is the line and the job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from openbark.audio import Waveform, encode_audio
from openbark.batch.commit import commit_bytes, commit_table, dumped, manifest_name
from openbark.batch.jobs import BadLine, Line, line_seed, read_places
from openbark.batch.layouts import AUDIO_FORMATS, Clip, write_part
from openbark.batch.ogg import with_serial
from openbark.batch.plan import Shard
from openbark.errors import InputError, OpenBarkError, ParamError

MANIFEST_SCHEMA: Mapping[str, str] = {
    "id": "string",
    "sha256": "string",
    "bytes": "int64",
    "seconds": "float64",
    "seed": "uint64",
    "stop_reason": "string",
    "status": "string",
    "attempts": "int32",
    "offset": "int64",
}
"""Columns of a manifest, with pyarrow's names of their types. offset: of a clip in its tar, -1 elsewhere."""
_TRIES = 2


@dataclass(frozen=True)
class Sound:
    """A spoken line."""

    waveform: Waveform
    sample_rate: int
    stop_reason: str


class LineSpeaker(Protocol):
    """A loaded model in a worker."""

    def speak(self, lines: Sequence[tuple[Line, int]]) -> list[Sound | Exception]:
        """A sound, or the error, for each line with its seed; each is what it would be alone."""
        ...

    def speak_alone(self, line: Line, seed: int) -> Sound:
        """The same for one line that failed among others, by the plainest way. Raises."""
        ...


class SpeakerMaker(Protocol):
    """Loads the model where a worker runs; travels there by pickle."""

    def open(self) -> LineSpeaker:
        """The loaded model."""
        ...


@dataclass(frozen=True)
class ShardSettings:
    """Where shards are committed, how their audio is stored, and the seed of lines that have none."""

    output: str
    layout: str
    format: str
    seed: int


@dataclass(frozen=True)
class ShardReport:
    """What a worker says of a committed shard."""

    index: int
    n_lines: int
    n_quarantined: int
    seconds: float


def quarantine_name(index: int) -> str:
    """Name of the file of a shard's failed lines."""
    return f"quarantine-{index:06d}.jsonl"


def run_shard(shard: Shard, settings: ShardSettings, speaker: LineSpeaker) -> ShardReport:
    """Speak and commit a shard: audio, then failed lines, then the manifest. Raises OSError when it cannot be written."""
    places = list(read_places(Path(shard.file), shard.start, shard.number, shard.n_lines))
    if len(places) != shard.n_lines:
        raise ParamError(
            f"{shard.file} has {len(places)} lines from line {shard.number}, planned were {shard.n_lines}; the file was "
            "changed: put it back, or give another folder with -o"
        )
    lines = [p.line for p in places if isinstance(p.line, Line)]
    outcomes = _spoken(lines, settings, speaker)
    clips: list[Clip] = []
    rows: list[dict[str, Any]] = []
    bad: list[bytes] = []
    for place in places:
        line = place.line
        where = f"{shard.file}:{place.number}"
        if isinstance(line, BadLine):
            bad.append(_quarantined(line.id, where, line.error, 0))
            rows.append(_row(line.id or where, None, 0))
            continue
        outcome, attempts = outcomes[line.id]
        if isinstance(outcome, Exception):
            bad.append(_quarantined(line.id, where, outcome, attempts))
            rows.append(_row(line.id, None, attempts))
            continue
        clips.append(outcome)
        rows.append(_row(line.id, outcome, attempts))
    output = Path(settings.output)
    offsets = iter(write_part(output, shard.index, settings.layout, clips))
    for row in rows:
        row["offset"] = next(offsets) if row["status"] == "ok" else -1
    failed = output / quarantine_name(shard.index)
    if bad:
        commit_bytes(failed, b"".join(bad))
    else:
        # Of a run that was killed before its manifest, where a line failed that is spoken now.
        failed.unlink(missing_ok=True)
    commit_table(output / manifest_name(shard.index), rows, MANIFEST_SCHEMA)
    seconds = sum(clip.seconds for clip in clips)
    return ShardReport(shard.index, len(places), len(bad), seconds)


def _spoken(
    lines: Sequence[Line], settings: ShardSettings, speaker: LineSpeaker
) -> dict[str, tuple[Clip | Exception, int]]:
    """A clip or an error for each id, with the number of tries.

    Input at fault is tried once; anything else again with the same seed, and at last alone.
    """
    found: dict[str, tuple[Clip | Exception, int]] = {}
    pending = [(line, line_seed(line, settings.seed)) for line in lines]
    for attempt in range(1, _TRIES + 1):
        again = []
        for (line, seed), sound in zip(pending, speaker.speak(pending), strict=True):
            outcome = _clip(line, seed, sound, settings)
            found[line.id] = outcome, attempt
            if isinstance(outcome, Exception) and not isinstance(outcome, InputError):
                again.append((line, seed))
        pending = again
        if not pending:
            return found
    for line, seed in pending:
        found[line.id] = _clip(line, seed, _alone(line, seed, speaker), settings), _TRIES + 1
    return found


def _alone(line: Line, seed: int, speaker: LineSpeaker) -> Sound | Exception:
    try:
        return speaker.speak_alone(line, seed)
    except Exception as error:
        return error


def _clip(
    line: Line, seed: int, sound: Sound | Exception, settings: ShardSettings
) -> Clip | Exception:
    if isinstance(sound, Exception):
        return sound
    format = line.format or settings.format
    if format not in AUDIO_FORMATS:
        return ParamError(f"format is {format!r}; allowed: {', '.join(AUDIO_FORMATS)}")
    try:
        data = encode_audio(sound.waveform, sound.sample_rate, AUDIO_FORMATS[format])
    except OpenBarkError as error:
        return error
    if format == "opus":
        data = with_serial(data, int.from_bytes(hashlib.sha256(line.id.encode()).digest()[:4]))
    seconds = round(len(sound.waveform) / sound.sample_rate, 4)
    facts = {
        "id": line.id,
        "text": line.text,
        "voice": line.voice,
        "seed": seed,
        "seconds": seconds,
        "sample_rate": sound.sample_rate,
        "stop_reason": sound.stop_reason,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Clip(line.id, format, data, seconds, facts)


def _row(id: str, clip: Clip | None, attempts: int) -> dict[str, Any]:
    facts = clip.facts if clip is not None else {}
    return {
        "id": id,
        "sha256": facts.get("sha256"),
        "bytes": len(clip.data) if clip is not None else 0,
        "seconds": clip.seconds if clip is not None else 0.0,
        "seed": facts.get("seed"),
        "stop_reason": facts.get("stop_reason"),
        "status": "ok" if clip is not None else "quarantined",
        "attempts": attempts,
    }


def _quarantined(id: str | None, where: str, error: Exception, attempts: int) -> bytes:
    return dumped(
        {
            "id": id,
            "line": where,
            "type": type(error).__name__,
            "message": str(error),
            "attempts": attempts,
        }
    )
