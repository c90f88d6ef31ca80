"""One large file over HTTP, fetched so that any process can go on where another was cut.

What has arrived lies beside the target, named after the content's sha256; the next process asks for the rest
(`Range`). huggingface_hub goes on within one process and throws away what it has when that ends. Knows no
repository.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openbark.errors import CheckpointCorruptError
from openbark.files import locked

_CHUNK = 1 << 22
_PARTIAL = ".openbark.incomplete"


@dataclass(frozen=True)
class Download:
    """What to fetch: the address, its bytes and their sha256, and the name to show."""

    url: str
    name: str
    n_bytes: int
    sha256: str


def fetch(download: Download, headers: Mapping[str, str], target: Path, partial_in: Path) -> bool:
    """Fetch a file to `target` unless it is there; partial content is kept in the folder `partial_in`, on the
    same disk. Returns whether anything was fetched.

    Other processes that want the same file wait. Raises CheckpointCorruptError for content that is not what
    was promised, which is thrown away; OSError, and what huggingface_hub raises for the network.
    """
    from huggingface_hub.file_download import http_get

    if target.exists():
        return False
    partial_in.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_in / f"{download.sha256}{_PARTIAL}"
    with locked(partial.with_suffix(".lock")):
        if target.exists():
            return False
        with partial.open("ab") as stream:
            if stream.tell() > download.n_bytes:
                stream.truncate(0)
            if stream.tell() < download.n_bytes:
                http_get(
                    download.url,
                    stream,
                    resume_size=stream.tell(),
                    headers=dict(headers),
                    expected_size=download.n_bytes,
                    displayed_filename=download.name,
                )
        found = file_sha256(partial)
        if found != download.sha256:
            partial.unlink()
            raise CheckpointCorruptError(
                f"{download.name} arrived as something else than the hub promised (sha256 {found[:16]}..., "
                f"promised {download.sha256[:16]}...) and was not kept; say the same again, or set "
                "HF_ENDPOINT to another mirror"
            )
        os.replace(partial, target)
    return True


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
