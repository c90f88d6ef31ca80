"""Where the members of an uncompressed zip archive lie in the file, zip64 included.

For mapping members into memory, which the standard library's `zipfile` is not made for. Reads the directory
at the end and the header before a member, inflates nothing, and trusts no number it has not checked against
the size of the file. Layout: APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError

__all__ = ["StoredZip", "open_stored_zip"]

_END = b"PK\x05\x06"
_END64_LOCATOR = b"PK\x06\x07"
_END64 = b"PK\x06\x06"
_ENTRY = b"PK\x01\x02"
_LOCAL = b"PK\x03\x04"
_END_BYTES = 22
_MAX_COMMENT = 65_535
_MAX_ENTRIES = 100_000
_MAX_DIRECTORY_BYTES = 32 << 20
_ASK_64 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Member:
    header: int
    size: int
    packed_size: int
    method: int
    flags: int


@dataclass(frozen=True)
class StoredZip:
    """The directory of an archive; positions are bytes from the start of the file."""

    file: Path
    file_size: int
    members: dict[str, _Member]

    def names(self) -> list[str]:
        """Names of the members, in the directory's order."""
        return list(self.members)

    def span(self, name: str, stream: BinaryIO) -> tuple[int, int]:
        """First byte and the byte after the last of a member's content.

        Raises CheckpointCorruptError when there is no such member or it does not lie inside the file,
        CheckpointUnsupportedError when it is compressed or encrypted.
        """
        member = self.members.get(name)
        if member is None:
            raise _corrupt(self.file, f"has no member {name[:200]!r}, which its pickle refers to")
        if member.method != 0 or member.flags & 1:
            raise CheckpointUnsupportedError(
                f"{self.file}: member {name[:200]!r} is compressed or encrypted; torch.save stores members "
                "as they are: save the file again with it"
            )
        stream.seek(member.header)
        header = stream.read(30)
        if len(header) != 30 or header[:4] != _LOCAL:
            raise _corrupt(self.file, f"has no header for member {name[:200]!r}")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start = member.header + 30 + name_length + extra_length
        if member.size != member.packed_size or start + member.size > self.file_size:
            raise _corrupt(
                self.file, f"ends inside member {name[:200]!r} ({self.file_size} bytes are there)"
            )
        return start, start + member.size


def open_stored_zip(file: Path) -> StoredZip:
    """Read the directory of an archive. Raises CheckpointCorruptError for a file cut short or broken."""
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start, length, count = _find_directory(stream, size, file)
        stream.seek(start)
        directory = stream.read(length)
    if len(directory) != length:
        raise _corrupt(file, "has a directory that lies outside of it")
    members: dict[str, _Member] = {}
    position = 0
    try:
        for _ in range(count):
            name, member, position = _entry(directory, position)
            members[name] = member
    except (struct.error, ValueError) as error:
        raise _corrupt(file, f"has a directory that breaks after {len(members)} members") from error
    return StoredZip(file, size, members)


def _find_directory(stream: BinaryIO, size: int, file: Path) -> tuple[int, int, int]:
    """Position, bytes and number of entries of the directory."""
    tail_start = max(0, size - _END_BYTES - _MAX_COMMENT - 20)
    stream.seek(tail_start)
    tail = stream.read(size - tail_start)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise _corrupt(file, f"has no end: a download that was cut short? ({size} bytes are there)")
    count, length, start = struct.unpack("<HII", tail[at + 10 : at + 20])
    locator = tail[max(0, at - 20) : at]
    if locator[:4] == _END64_LOCATOR and len(locator) == 20:
        stream.seek(min(struct.unpack("<Q", locator[8:16])[0], size))
        end64 = stream.read(56)
        if len(end64) != 56 or end64[:4] != _END64:
            raise _corrupt(file, "lacks its zip64 directory")
        count, length, start = struct.unpack("<QQQ", end64[32:56])
    if count > _MAX_ENTRIES or length > _MAX_DIRECTORY_BYTES:
        raise _corrupt(
            file,
            f"has a directory that claims {count} members in {length} bytes; at most {_MAX_ENTRIES} are read",
        )
    if start + length > size:
        raise _corrupt(file, "has a directory that lies outside of it")
    return start, length, count


def _entry(directory: bytes, position: int) -> tuple[str, _Member, int]:
    fixed = directory[position : position + 46]
    if fixed[:4] != _ENTRY:
        raise ValueError
    flags, method = struct.unpack("<HH", fixed[8:12])
    packed, size, name_length, extra_length, comment_length = struct.unpack("<IIHHH", fixed[20:34])
    (header,) = struct.unpack("<I", fixed[42:46])
    after_name = position + 46 + name_length
    name = directory[position + 46 : after_name].decode("utf-8")
    extra = directory[after_name : after_name + extra_length]
    size, packed, header = _widened(extra, [size, packed, header])
    return (
        name,
        _Member(header, size, packed, method, flags),
        after_name + extra_length + comment_length,
    )


def _widened(extra: bytes, numbers: list[int]) -> list[int]:
    """`numbers` with those that do not fit 32 bits taken from the zip64 field of `extra`, in order."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[position : position + 4])
        if kind == 1:
            field = extra[position + 4 : position + 4 + length]
            values = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            return [next(values, n) if n == _ASK_64 else n for n in numbers]
        position += 4 + length
    return numbers


def _corrupt(file: Path, what: str) -> CheckpointCorruptError:
    return CheckpointCorruptError(f"{file} {what}; fetch or write the file again")
