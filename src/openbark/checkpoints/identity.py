"""Whether a checkpoint's weights are the same as before, told without reading all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.layouts.canonical import Source

_SAMPLE_BYTES = 256


def weights_identity(sources: Mapping[str, Source], prefixes: Iterable[str]) -> str | None:
    """A name for the weights of some parts: 32 hexadecimal digits, or None when they are not in files.

    Made of each tensor's name, type, shape, place and a few of its bytes (first, middle, last), and of the
    sizes and times of the files. A copy that keeps times is the same; any rewritten file is another.
    Raises OSError.
    """
    wanted = tuple(prefixes)
    digest = hashlib.sha256()
    files: dict[Path, list[StoredTensor]] = {}
    for name in sorted(sources):
        if not name.startswith(wanted):
            continue
        if not sources[name].parts:
            return None
        for part in sources[name].parts:
            facts = (name, part.name, part.dtype, part.shape, part.strides, part.start, part.stop)
            digest.update(repr(facts).encode())
            files.setdefault(part.file, []).append(part)
    for file, parts in files.items():
        facts_of_file = file.stat()
        digest.update(f"{facts_of_file.st_size} {facts_of_file.st_mtime_ns}".encode())
        with file.open("rb", buffering=0) as stream:
            for part in parts:
                last = max(part.start, part.stop - _SAMPLE_BYTES)
                for start in (part.start, (part.start + last) // 2, last):
                    stream.seek(start)
                    digest.update(stream.read(min(_SAMPLE_BYTES, part.stop - start)))
    return digest.hexdigest()[:32]
