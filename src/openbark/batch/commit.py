"""How a shard becomes visible: every file under a temporary name, flushed, renamed; the manifest last.

A shard is done when its manifest is there. A process that is killed leaves files that begin with `.tmp-`, and at most
a part without a manifest, which the next run writes again with the same bytes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp-"
"""How every name begins that may be incomplete."""

_MANIFEST_SUFFIX = ".parquet"


def part_name(index: int) -> str:
    """Name of a shard's files, without a suffix."""
    return f"part-{index:06d}"


def manifest_name(index: int) -> str:
    """Name of a shard's manifest."""
    return part_name(index) + _MANIFEST_SUFFIX


def commit_bytes(path: Path, data: bytes) -> None:
    """Make a file visible with all of its bytes, on disk."""
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def commit_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder of files visible at once, in place of one that a killed run left."""
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
    try:
        temporary.mkdir()
        for name, data in files.items():
            with (temporary / name).open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        _sync_folder(temporary)
        if path.exists():
            old = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
            path.rename(old)
            shutil.rmtree(old)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(path.parent)


def commit_table(path: Path, rows: Sequence[Mapping[str, Any]], schema: Mapping[str, str]) -> None:
    """Make a Parquet file visible. schema: pyarrow's type names by column."""
    import pyarrow
    import pyarrow.parquet

    fields = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in schema.items()])
    table = pyarrow.Table.from_pylist([dict(row) for row in rows], schema=fields)
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    commit_bytes(path, sink.getvalue().to_pybytes())


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Rows of a manifest."""
    import pyarrow.parquet

    found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return found


def done_shards(directory: Path) -> set[int]:
    """Shards whose manifest is there, by the names in the folder alone."""
    found = set()
    with os.scandir(directory) as entries:
        for entry in entries:
            stem, dot, suffix = entry.name.partition(".")
            is_manifest = stem.startswith("part-") and dot + suffix == _MANIFEST_SUFFIX
            if is_manifest and stem[5:].isdecimal():
                found.add(int(stem[5:]))
    return found


def clean(directory: Path) -> None:
    """Remove what killed processes left under temporary names."""
    with os.scandir(directory) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(TEMPORARY)]
    for name in left:
        path = Path(name)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def dumped(values: Mapping[str, Any]) -> bytes:
    """One line of JSON, the same bytes for the same values."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def _sync_folder(path: Path) -> None:
    """Make renames in a folder last through a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
