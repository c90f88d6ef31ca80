"""Where the members of an uncompressed zip archive are in the file, for mapping them into memory.

The standard library's `zipfile` reads the directory. Nothing is inflated, and no number of the file is believed before it
was compared with the size of the file.
"""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError

_LOCAL_HEADER_BYTES = 30
_LOCAL = b"PK\x03\x04"
# About 100,000 members: each takes ten times as much memory as space in the directory.
_MAX_DIRECTORY_BYTES = 8 << 20


class _Bounded:
    """The file as `zipfile` reads it: a directory of any size is refused before it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1, /) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(
                f"the directory has {size} bytes, at most {_MAX_DIRECTORY_BYTES} are read"
            )
        return self._stream.read(size)


class StoredZip:
    """The members of an open archive."""

    def __init__(self, stream: BinaryIO, file: Path) -> None:
        """Raises CheckpointCorruptError for a file cut short or broken."""
        self.file = file
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size
        try:
            with zipfile.ZipFile(_Bounded(stream)) as archive:
                self.members = {info.filename: info for info in archive.infolist()}
        # What `zipfile` raises for broken numbers, texts and versions.
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
            raise self._corrupt(
                f"is no archive that can be read ({error}): a download that was cut short? "
                f"({self._size} bytes are there)"
            ) from error

    def span(self, name: str) -> tuple[int, int]:
        """First byte and the byte after the last of a member's content.

        Raises CheckpointCorruptError when there is no such member or it does not lie inside the file,
        CheckpointUnsupportedError when it is compressed or encrypted.
        """
        member = self.members.get(name)
        if member is None:
            raise self._corrupt(f"has no member {name[:200]!r}, which its pickle refers to")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise CheckpointUnsupportedError(
                f"{self.file}: member {name[:200]!r} is compressed or encrypted; torch.save stores members "
                "as they are: save the file again with it"
            )
        header = b""
        if 0 <= member.header_offset < self._size:
            self._stream.seek(member.header_offset)
            header = self._stream.read(_LOCAL_HEADER_BYTES)
        if len(header) != _LOCAL_HEADER_BYTES or header[:4] != _LOCAL:
            raise self._corrupt(f"has no header for member {name[:200]!r}")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start = member.header_offset + _LOCAL_HEADER_BYTES + name_length + extra_length
        stop = start + member.file_size
        if member.file_size != member.compress_size or stop > self._size:
            raise self._corrupt(f"ends inside member {name[:200]!r} ({self._size} bytes are there)")
        return start, stop

    def _corrupt(self, what: str) -> CheckpointCorruptError:
        return CheckpointCorruptError(f"{self.file} {what}; fetch or write the file again")
