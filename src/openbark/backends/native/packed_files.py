"""Packed weights kept on disk: the second start reads what the first one computed.

A file holds a header and the packed block of each stage, byte for byte. It is used only if its key (weights,
precision, kernels, build of the library), its size, the header's checksum and a checksum of every chunk of the blocks
are what they must be; otherwise the weights are packed again and the file is replaced.

Blocks are read into memory, not mapped: anonymous memory can have huge pages, which a mapped file has not, and
decoding then reads weights faster (docs/native.md has the figures).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from openbark.backends.native.library import Pool, library_path, load_library
from openbark.backends.native.structs import Precision
from openbark.backends.native.weights import stage_shapes
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.convert import cache_directory
from openbark.checkpoints.identity import weights_identity
from openbark.config import BarkConfig
from openbark.files import locked, replacing

SWITCH_VARIABLE = "OPENBARK_PACKED_CACHE"
"""Environment variable: 0 keeps no packed weights on disk."""

Blocks = Mapping[str, NDArray[np.uint8]]
"""Packed block of each stage by its prefix in the checkpoint."""

_LOG = logging.getLogger(__name__)
_MAGIC = b"OBPACK01"
_PREFIX = struct.Struct("<8s32sQ")  # magic, sha256 of the header, its length
_MAX_HEADER = 1 << 20
_ALIGNMENT = 4096
_CHUNK = 4 << 20
_SUFFIX = ".packed"
_LEAST_BYTES = 48 << 20


class _UnusableError(Exception):
    """Why a file on disk is not used."""


@dataclass(frozen=True, slots=True)
class PackedKey:
    """What packed weights depend on. library: digest of the engine's own file, whatever changed in it, and of
    what it is asked to pack: each stage's sizes and precisions."""

    weights: str
    precision: str
    kernels: str
    library: str

    @property
    def digest(self) -> str:
        """A short name for the whole key."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of packed weights, there or not; `source` is the folder that the weights came from."""

    path: Path
    key: PackedKey
    source: str

    @property
    def n_bytes(self) -> int:
        """Its size; 0 when it is not there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def agreement_path(self) -> Path:
        """Where the comparison of these weights with exact ones is kept (`native.auto`)."""
        return self.path.with_suffix(".agreement.json")

    def read_into(self, blocks: Blocks) -> bool:
        """Fill all blocks. False when there is no file, or (with a line in the log) one that is damaged."""
        try:
            with self.path.open("rb", buffering=0) as stream:
                self._read(stream, blocks)
        except FileNotFoundError:
            return False
        except (OSError, _UnusableError) as error:
            _LOG.warning("packed weights %s are not used (%s); packing again", self.path, error)
            return False
        return True

    def _read(self, stream: IO[bytes], blocks: Blocks) -> None:
        header, start = _read_header(stream)
        if header.get("key") != asdict(self.key):
            raise _UnusableError("they belong to other weights or another build")
        sizes = {name: int(block.nbytes) for name, block in blocks.items()}
        if {name: entry["size"] for name, entry in header["blocks"].items()} != sizes:
            raise _UnusableError("blocks have other sizes than this build's")
        end = start + sum(_aligned(size) for size in sizes.values())
        found = os.fstat(stream.fileno()).st_size
        if found != end:
            raise _UnusableError(f"{found} bytes, {end} expected")
        for name, block in blocks.items():
            stream.seek(start)
            for sum_, chunk in zip(header["blocks"][name]["sums"], _chunks(block), strict=True):
                _fill(stream, chunk)
                if _sum(chunk) != sum_:
                    raise _UnusableError(f"block {name} is damaged")
            start += _aligned(block.nbytes)

    def write(self, blocks: Blocks) -> None:
        """Write all blocks, and remove what was packed from the same folder for the same purpose before.

        A failure is a line in the log: everything works without the file.
        """
        try:
            self._write(blocks)
            self._remove_older()
        except OSError as error:
            _LOG.warning("packed weights are not kept on disk: %s", error)

    def _write(self, blocks: Blocks) -> None:
        header = {
            "key": asdict(self.key),
            "source": self.source,
            "blocks": {
                name: {"size": int(block.nbytes), "sums": [_sum(chunk) for chunk in _chunks(block)]}
                for name, block in blocks.items()
            },
        }
        text = json.dumps(header).encode()
        # Without a sync: what a power cut leaves half-written does not have the sums of the header.
        with replacing(self.path) as stream:
            stream.write(_PREFIX.pack(_MAGIC, hashlib.sha256(text).digest(), len(text)) + text)
            for block in blocks.values():
                stream.write(bytes(-stream.tell() % _ALIGNMENT))
                stream.write(block.data)
            stream.write(bytes(-stream.tell() % _ALIGNMENT))

    def _remove_older(self) -> None:
        for other in find_packed_files():
            same_purpose = (other.source, other.key.precision, other.key.kernels) == (
                self.source,
                self.key.precision,
                self.key.kernels,
            )
            if same_purpose and other.path != self.path:
                other.path.unlink(missing_ok=True)
                other.path.with_suffix(".lock").unlink(missing_ok=True)
                other.agreement_path.unlink(missing_ok=True)


def fill_packed(file: PackedFile, blocks: Blocks, pack: Callable[[], None]) -> None:
    """Fill all blocks: from the file, or with `pack`, and then write the file for the next time.

    Processes that start together take turns, and the first one packs.
    """
    if file.read_into(blocks):
        return
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.path.with_suffix(".lock")):
            if file.path.exists() and file.read_into(blocks):
                return
            pack()
            file.write(blocks)
    except OSError as error:
        _LOG.warning("packed weights are not kept on disk: %s", error)
        pack()


def is_enabled() -> bool:
    """Whether packed weights are kept on disk at all."""
    return os.environ.get(SWITCH_VARIABLE, "1") != "0"


def packed_directory() -> Path:
    """The folder of packed weights in our cache; it may not exist."""
    return cache_directory() / "packed"


def packed_file_for(
    checkpoint: Checkpoint, prefixes: tuple[str, ...], pool: Pool, precision: Precision
) -> PackedFile | None:
    """Where the packed weights of a checkpoint are or would be kept.

    None when it is switched off (OPENBARK_PACKED_CACHE=0), when the weights are not in files, and where
    packing takes no longer than reading: for small models, and in float32.
    """
    if not is_enabled() or precision is Precision.FLOAT32:
        return None
    if not is_large(checkpoint, prefixes):
        return None
    try:
        weights = weights_identity(checkpoint.sources, prefixes)
        library = _library_digest(checkpoint.config, precision)
    except OSError as error:
        _LOG.warning("packed weights are not kept on disk: %s", error)
        return None
    if weights is None:
        return None
    key = PackedKey(weights, precision.name.lower(), pool.kernels, library)
    source = checkpoint.directory.resolve()
    name = f"{source.name[:60]}-{key.precision}-{key.digest}{_SUFFIX}"
    return PackedFile(packed_directory() / name, key, str(source))


def _library_digest(config: BarkConfig, precision: Precision) -> str:
    digest = hashlib.sha256(library_path().read_bytes())
    for shape in stage_shapes(config, precision).values():
        digest.update(bytes(shape))
    return digest.hexdigest()[:32]


def is_large(checkpoint: Checkpoint, prefixes: tuple[str, ...]) -> bool:
    """Whether the checkpoint has all these parts in files, and reading packed weights pays: below this size
    packing takes no longer."""
    stored = {
        prefix: sum(
            part.stop - part.start
            for name, source in checkpoint.sources.items()
            if name.startswith(prefix)
            for part in source.parts
        )
        for prefix in prefixes
    }
    return min(stored.values()) > 0 and sum(stored.values()) >= _LEAST_BYTES


def find_packed_files() -> list[PackedFile]:
    """The files of packed weights in our cache whose headers can be read."""
    found = []
    for path in sorted(packed_directory().glob(f"*{_SUFFIX}")):
        try:
            with path.open("rb", buffering=0) as stream:
                header, _ = _read_header(stream)
            found.append(PackedFile(path, PackedKey(**header["key"]), str(header["source"])))
        except (OSError, _UnusableError, TypeError, KeyError):
            continue
    return found


def _read_header(stream: IO[bytes]) -> tuple[dict[str, Any], int]:
    """The header and where the first block starts."""
    prefix = stream.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        raise _UnusableError("the file is too short")
    magic, digest, length = _PREFIX.unpack(prefix)
    if magic != _MAGIC or length > _MAX_HEADER:
        raise _UnusableError("this is not a file of packed weights, or one of another version")
    text = stream.read(length)
    if hashlib.sha256(text).digest() != digest:
        raise _UnusableError("its header is damaged")
    header: dict[str, Any] = json.loads(text)
    return header, _aligned(_PREFIX.size + length)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _chunks(block: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for first in range(0, block.size, _CHUNK):
        yield block[first : first + _CHUNK]


def _fill(stream: IO[bytes], chunk: NDArray[np.uint8]) -> None:
    view = chunk.data
    while view:
        n_read = stream.readinto(view)  # type: ignore[attr-defined]
        if not n_read:
            raise _UnusableError("the file ends early")
        view = view[n_read:]


def _sum(chunk: NDArray[np.uint8]) -> int:
    """The library's checksum of a chunk: as fast as memory, and exchanged or moved bytes change it too."""
    return int(load_library().ob_checksum(chunk.ctypes.data, chunk.size))
