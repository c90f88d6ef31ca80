"""Lines of a batch: what each input format holds, read as a stream from any place in a file.

Knows no model and no output. A line that cannot be used becomes a `BadLine`; the others are not affected.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from openbark.errors import OpenBarkError, ParamError, TextError
from openbark.params import check_seed

KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
"""Input formats by the suffix of a file."""

_FIELDS = ("id", "text", "voice", "seed", "format", "params")
_OPENAI_FIELDS = ("custom_id", "method", "url", "body")
_OPENAI_URL = "/v1/audio/speech"
_OPENAI_PARAMS = (
    "temperature",
    "semantic_temperature",
    "coarse_temperature",
    "fine_temperature",
    "top_k",
    "top_p",
    "min_eos_p",
    "max_seconds",
)


@dataclass(frozen=True)
class Line:
    """One text to speak. seed, format: of this line; None takes the job's."""

    id: str
    text: str
    voice: str | None = None
    seed: int | None = None
    format: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BadLine:
    """A line that is none. id: None where it has none; where: file and line number, for people."""

    id: str | None
    where: str
    error: OpenBarkError


@dataclass(frozen=True)
class Place:
    """A line with where it begins: a byte offset, or a row of a Parquet file. number: from 1, in its file."""

    start: int
    number: int
    line: Line | BadLine


def find_inputs(patterns: Sequence[str]) -> list[Path]:
    """Files of names, folders and globs, sorted within each. Raises ParamError for what matches nothing."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            matches = sorted(p for p in path.iterdir() if p.suffix.lower() in KINDS)
        elif path.exists():
            matches = [path]
        else:
            below = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
            matches = sorted(match for match in below if match.is_file())
        if not matches:
            raise ParamError(
                f"there are no jobs at {pattern}; give a file ({', '.join(KINDS)}), a folder of such files, or a "
                "glob in quotes"
            )
        for match in matches:
            kind_of(match)
            found[match] = None
    return list(found)


def kind_of(path: Path) -> str:
    """The input format of a file. Raises ParamError."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ParamError(f"{path} is not a file of jobs; allowed suffixes: {', '.join(KINDS)}")
    return kind


def line_seed(line: Line, job_seed: int) -> int:
    """The line's own seed, or one that follows from the job's seed and the line's id alone, so that neither order nor
    retries change a clip."""
    if line.seed is not None:
        return line.seed
    digest = hashlib.sha256(f"{job_seed}|{line.id}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def read_places(
    path: Path, start: int = 0, number: int = 1, limit: int | None = None
) -> Iterator[Place]:
    """Lines of a file from `start` on, which is the start of line `number`; at most `limit`."""
    readers = {"jsonl": _read_jsonl, "csv": _read_csv, "parquet": _read_parquet}
    for count, place in enumerate(readers[kind_of(path)](path, start, number)):
        if limit is not None and count >= limit:
            return
        yield place


def _read_jsonl(path: Path, start: int, number: int) -> Iterator[Place]:
    with path.open("rb") as stream:
        stream.seek(start)
        position = start
        for raw in stream:
            if raw.strip():
                yield Place(position, number, _checked(_parse_json(raw), f"{path}:{number}"))
            position += len(raw)
            number += 1


def _parse_json(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except ValueError as error:
        return ParamError(f"not a JSON line: {error}")


def _read_csv(path: Path, start: int, number: int) -> Iterator[Place]:
    with path.open("rb") as stream:
        lines = _CountedLines(stream)
        names = next(csv.reader(lines), None) or []
        if start:
            stream.seek(start)
            lines.position = start
        rows = csv.reader(lines, strict=True)
        while True:
            position = lines.position
            try:
                row = next(rows, None)
            except (csv.Error, UnicodeDecodeError) as error:
                row = []
                broken: Any = ParamError(f"not a CSV record: {error}")
            else:
                if row is None:
                    return
                if not row:
                    continue
                broken = None
                if len(row) != len(names):
                    broken = ParamError(
                        f"the record has {len(row)} fields, the head has {len(names)}"
                    )
            values = broken or _without_empty(dict(zip(names, row, strict=False)))
            yield Place(position, number, _checked(values, f"{path}:{number}"))
            number += 1


class _CountedLines:
    """Text lines of a binary file, and the offset after the last one."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.position = 0

    def __iter__(self) -> _CountedLines:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline()
        if not raw:
            raise StopIteration
        self.position += len(raw)
        return raw.decode("utf-8-sig")


def _read_parquet(path: Path, start: int, number: int) -> Iterator[Place]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        row = 0
        for group in range(file.num_row_groups):
            n_rows = file.metadata.row_group(group).num_rows
            if row + n_rows <= start:
                row += n_rows
                continue
            for batch in file.iter_batches(row_groups=[group]):
                for values in batch.to_pylist():
                    if row >= start:
                        found = _checked(_without_empty(values), f"{path}: row {number}")
                        yield Place(row, number, found)
                        number += 1
                    row += 1


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """A column that a record leaves empty is a field that it does not have."""
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _checked(values: Any, where: str) -> Line | BadLine:
    name: str | None = None
    try:
        if isinstance(values, OpenBarkError):
            raise values
        if not isinstance(values, dict):
            raise ParamError(f"a line is an object with id and text, not {type(values).__name__}")
        given = values.get("id", values.get("custom_id"))
        name = str(given) if isinstance(given, (str, int)) and given != "" else None
        return _openai_line(values) if "custom_id" in values else _line(values)
    except OpenBarkError as error:
        return BadLine(name, where, error)


def _line(values: Mapping[str, Any]) -> Line:
    _check_names(values, _FIELDS, "a line")
    name = values.get("id")
    if isinstance(name, bool) or not isinstance(name, (str, int)) or name == "":
        raise ParamError(f"id is {name!r}; allowed: a text that no other line has")
    text = values.get("text")
    if not isinstance(text, str) or not text.strip():
        raise TextError(f"text is {text!r}; give a text to speak")
    return Line(
        str(name),
        text,
        _text_or_none(values, "voice"),
        _seed(values.get("seed")),
        _text_or_none(values, "format"),
        _params(values.get("params")),
    )


def _openai_line(values: Mapping[str, Any]) -> Line:
    _check_names(values, _OPENAI_FIELDS, "an OpenAI batch line")
    if (values.get("method", "POST"), values.get("url", _OPENAI_URL)) != ("POST", _OPENAI_URL):
        raise ParamError(f"the line asks for {values.get('url')!r}; allowed: POST {_OPENAI_URL}")
    body = values.get("body")
    if not isinstance(body, dict):
        raise ParamError("body is missing; it holds input, voice and response_format")
    _check_names(
        body, ("model", "input", "voice", "response_format", "seed", *_OPENAI_PARAMS), "body"
    )
    return _line(
        {
            "id": values["custom_id"],
            "text": body.get("input"),
            "voice": body.get("voice"),
            "seed": body.get("seed"),
            "format": body.get("response_format"),
            "params": {k: body[k] for k in _OPENAI_PARAMS if body.get(k) is not None},
        }
    )


def _check_names(values: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ParamError(f"{what} has the field {unknown[0]!r}; allowed: {', '.join(known)}")


def _text_or_none(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ParamError(f"{name} is {value!r}; allowed: a name, or nothing")


def _seed(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    return check_seed(value)


def _params(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ParamError(f"params is not JSON: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParamError('params is not an object such as {"temperature": 0.6}')
    _check_names(value, _OPENAI_PARAMS, "params")
    return {name: each for name, each in value.items() if each is not None}
