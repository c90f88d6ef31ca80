"""The plan of a batch: which lines make up which shard, and everything that decides how they sound.

Written once, as `job.json`; a run that is resumed must have the same.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openbark.batch.jobs import Line, Place, read_places
from openbark.errors import ParamError
from openbark.files import write_atomically
from openbark.text.speech_length import expected_seconds

JOB_FILE = "job.json"

_VERSION = 1
_HASH_BYTES = 16
_MIN_SECONDS = 0.5


@dataclass(frozen=True)
class Shard:
    """Neighbouring lines of one file, spoken and committed as one. start: as in `jobs.Place`; number: of its first
    line; seconds: of audio, estimated."""

    index: int
    file: str
    start: int
    number: int
    n_lines: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """fingerprint: every value that decides the output, by name. inputs: each file with its size and sha256."""

    fingerprint: Mapping[str, Any]
    inputs: tuple[Mapping[str, Any], ...]
    shards: tuple[Shard, ...]

    @property
    def n_lines(self) -> int:
        """Lines of all shards."""
        return sum(shard.n_lines for shard in self.shards)

    @property
    def seconds(self) -> float:
        """Seconds of audio of all shards, estimated."""
        return sum(shard.seconds for shard in self.shards)


def make_plan(
    inputs: Sequence[Path],
    fingerprint: Mapping[str, Any],
    shard_seconds: float,
    shard_lines: int,
    notify: Callable[[int], None] = lambda n_lines: None,
) -> Plan:
    """Read every line once and cut the files into shards. notify: told how many lines were read, now and then.

    Raises ParamError for an id that two lines have, and for files without lines.
    """
    shards: list[Shard] = []
    ids = _Ids()
    for path in inputs:
        open_shard: list[Place] = []
        seconds = 0.0
        for place in read_places(path):
            line = place.line
            expected = _expected(line)
            full = len(open_shard) >= shard_lines or seconds + expected > shard_seconds
            if open_shard and full:
                shards.append(_shard(len(shards), path, open_shard[0], len(open_shard), seconds))
                open_shard, seconds = [], 0.0
            # Only the first is needed later; the others keep the count.
            open_shard.append(place if not open_shard else open_shard[0])
            seconds += expected
            if line.id is not None:
                ids.add(line.id)
                if len(ids) % 100_000 == 0:
                    notify(len(ids))
        if open_shard:
            shards.append(_shard(len(shards), path, open_shard[0], len(open_shard), seconds))
    if not shards:
        raise ParamError("the files hold no lines; give at least one text")
    doubled = ids.doubled()
    if doubled is not None:
        raise ParamError(_doubled_message(inputs, doubled))
    described = tuple(_described(path) for path in inputs)
    return Plan(dict(fingerprint), described, tuple(shards))


def write_plan(directory: Path, plan: Plan) -> None:
    """Write `job.json`, whole or not at all."""
    content = {
        "version": _VERSION,
        "fingerprint": plan.fingerprint,
        "inputs": list(plan.inputs),
        "shards": [list(asdict(shard).values()) for shard in plan.shards],
    }
    write_atomically(directory / JOB_FILE, json.dumps(content).encode() + b"\n")


def read_plan(directory: Path) -> Plan | None:
    """The plan in a folder, None without one. Raises ParamError for a file that is not a plan of this version."""
    path = directory / JOB_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != _VERSION:
            raise ValueError(f"its version is {content['version']}")
        shards = tuple(Shard(*values) for values in content["shards"])
        return Plan(content["fingerprint"], tuple(content["inputs"]), shards)
    except (ValueError, KeyError, TypeError) as error:
        raise ParamError(
            f"{path} is not a plan of this version ({error}); give another folder with -o"
        ) from error


def check_same(
    directory: Path, old: Plan, fingerprint: Mapping[str, Any], inputs: Sequence[Path]
) -> None:
    """Raise ParamError that names the first value in which a resumed run differs from the planned one."""
    now = json.loads(json.dumps(dict(fingerprint)))
    for name in {**old.fingerprint, **now}:
        before, after = old.fingerprint.get(name), now.get(name)
        if before != after:
            raise ParamError(
                f"{directory} was planned with {name} {before!r}, this run has {after!r}; resume with the same, or "
                "give another folder with -o"
            )
    described = [_described(path) for path in inputs]
    if list(old.inputs) != described:
        before_paths = [each["path"] for each in old.inputs]
        changed = [each["path"] for each in described if each not in list(old.inputs)]
        raise ParamError(
            f"{directory} was planned from {', '.join(before_paths)}; not the same now: "
            f"{', '.join(changed) or 'a file is missing'}; resume with the same files, or give another folder with -o"
        )


def _shard(index: int, path: Path, first: Place, n_lines: int, seconds: float) -> Shard:
    return Shard(index, str(path), first.start, first.number, n_lines, round(seconds, 2))


def _expected(line: object) -> float:
    return max(_MIN_SECONDS, expected_seconds(line.text)) if isinstance(line, Line) else 0.0


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": digest}


class _Ids:
    """128-bit hashes of ids: 16 bytes each, so that a hundred million take 1.6 GB."""

    def __init__(self) -> None:
        self._words = array("Q")

    def __len__(self) -> int:
        return len(self._words) // 2

    def add(self, name: str) -> None:
        self._words.frombytes(_hash(name))

    def doubled(self) -> bytes | None:
        """The hash of an id that comes twice."""
        pairs = np.frombuffer(self._words, dtype=np.uint64).reshape(-1, 2)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        same = (pairs[order[1:]] == pairs[order[:-1]]).all(axis=1)
        found = np.flatnonzero(same)
        return pairs[order[found[0]]].tobytes() if len(found) else None


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=_HASH_BYTES).digest()


def _doubled_message(inputs: Sequence[Path], doubled: bytes) -> str:
    places = [
        (place.line.id, f"{path}:{place.number}")
        for path in inputs
        for place in read_places(path)
        if place.line.id is not None and _hash(place.line.id) == doubled
    ]
    return (
        f"the id {places[0][0]!r} comes {len(places)} times, at {' and '.join(p for _, p in places[:2])}; "
        "give each line its own id"
    )
