"""Training data on disk: utterances in shards of flat NumPy arrays beside JSON lines.

A shard is ``shard-00000.jsonl`` (one utterance a line: key, text, speaker and where its arrays
lie) and one ``shard-00000.<field>.npy`` per array field. The JSON lines are written last, by
rename, so a shard either exists whole or not at all. Knows nothing of how the arrays were made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import TrainingError
from openbark.files import write_atomically

_ARRAY_FIELDS = ("waveform", "semantic", "guide", "codes", "pitch")


@dataclass(frozen=True)
class Utterance:
    """One spoken text and what is known of it; unknown arrays are None.

    Attributes:
        key: unique name within its split.
        text: what the model reads.
        speaker: who speaks; the unit of history prompts.
        waveform: int16 [L] samples at 24 kHz.
        semantic: int16 [T] semantic tokens at 50 Hz.
        guide: int16 [T], the index into `text` of the letter spoken in each frame, -1 for none.
        codes: int16 [K, F] codec codes.
        pitch: int16 [F], tenths of a hertz per frame of 20 ms, 0 where unvoiced.
    """

    key: str
    text: str
    speaker: str
    waveform: NDArray[np.int16] | None = None
    semantic: NDArray[np.int16] | None = None
    guide: NDArray[np.int16] | None = None
    codes: NDArray[np.int16] | None = None
    pitch: NDArray[np.int16] | None = None


def shard_path(directory: Path, index: int) -> Path:
    """The JSON-lines file of a shard; the shard is complete when it exists."""
    return Path(directory) / f"shard-{index:05d}.jsonl"


def write_shards(
    directory: Path, utterances: Iterable[Utterance], per_shard: int = 512
) -> list[Path]:
    """Write utterances to a directory that holds no shard yet.

    Returns:
        The JSON-lines file of each shard.

    Raises:
        TrainingError: the directory holds shards already, or an array has a wrong type or shape.
    """
    if per_shard < 1:
        raise TrainingError(f"per_shard is {per_shard}; it must be 1 or more")
    directory = Path(directory)
    refuse_shards(directory)
    source = iter(utterances)
    paths: list[Path] = []
    while batch := list(islice(source, per_shard)):
        paths.append(write_shard(directory, len(paths), batch))
    return paths


def refuse_shards(directory: Path) -> None:
    """Raise TrainingError for a directory that holds shards already."""
    if any(directory.glob("shard-*.jsonl")):
        raise TrainingError(f"{directory} holds shards already; choose an empty directory")


def write_shard(directory: Path, index: int, utterances: Sequence[Utterance]) -> Path:
    """Write one shard, replacing it if it exists; returns its JSON-lines file."""
    path = shard_path(directory, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = [
        {"key": u.key, "text": u.text, "speaker": u.speaker} for u in utterances
    ]
    for field in _ARRAY_FIELDS:
        arrays: list[NDArray[np.int16]] = []
        start = 0
        for row, utterance in zip(rows, utterances, strict=True):
            array = getattr(utterance, field)
            if array is None:
                continue
            array = _checked(array, field, utterance.key)
            row[field] = {"start": start, "shape": list(array.shape)}
            start += array.size
            arrays.append(array.reshape(-1))
        target = path.with_suffix(f".{field}.npy")
        if arrays:
            _save_array(target, np.concatenate(arrays))
        else:
            target.unlink(missing_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(path, lines.encode())
    return path


def read_shards(directory: Path) -> list[Utterance]:
    """Read every shard of a directory; arrays are read-only views into mapped files.

    Raises:
        TrainingError: no shard there, or a shard whose files do not belong together.
    """
    paths = sorted(Path(directory).glob("shard-*.jsonl"))
    if not paths:
        raise TrainingError(f"no shards (shard-00000.jsonl ...) in {directory}; build them first")
    return [utterance for path in paths for utterance in read_shard(path)]


def read_shard(path: Path) -> list[Utterance]:
    """Read one shard by its JSON-lines file; see :func:`read_shards`."""
    arrays = {
        field: np.load(file, mmap_mode="r")
        for field in _ARRAY_FIELDS
        if (file := path.with_suffix(f".{field}.npy")).exists()
    }
    return list(_rows(path, arrays))


def _rows(path: Path, arrays: dict[str, NDArray[np.int16]]) -> Iterator[Utterance]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            fields = {
                field: _view(arrays[field], row[field]) for field in _ARRAY_FIELDS if field in row
            }
            yield Utterance(row["key"], row["text"], row["speaker"], **fields)
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{path} line {number} is not an utterance of this shard ({error!r});"
                " delete the shard's files and build it again"
            ) from error


def _view(flat: NDArray[np.int16], place: dict[str, Any]) -> NDArray[np.int16]:
    start, shape = int(place["start"]), tuple(int(n) for n in place["shape"])
    return flat[start : start + int(np.prod(shape))].reshape(shape)


def _checked(array: NDArray[np.int16], field: str, key: str) -> NDArray[np.int16]:
    n_axes = 2 if field == "codes" else 1
    if array.dtype != np.int16 or array.ndim != n_axes:
        raise TrainingError(
            f"{field} of utterance {key!r} is {array.dtype} with {array.ndim} axes;"
            f" it must be int16 with {n_axes}"
        )
    return array


def _save_array(path: Path, array: NDArray[np.int16]) -> None:
    temporary = path.with_suffix(".npy.tmp")
    with temporary.open("wb") as file:
        np.save(file, array)
    os.replace(temporary, path)
