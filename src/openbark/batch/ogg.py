"""Ogg files with a serial number of our choice: encoders draw one at random, so that no two files are equal."""

from __future__ import annotations

from functools import cache

_MAGIC = b"OggS"
_HEADER = 27
_SERIAL = slice(14, 18)
_CHECKSUM = slice(22, 26)
_SEGMENTS_AT = 26
_POLYNOMIAL = 0x04C11DB7


def with_serial(data: bytes, serial: int) -> bytes:
    """The same stream under another serial number, its checksums made anew (RFC 3533). serial: 32 bits.

    Raises ValueError for data that are not whole Ogg pages.
    """
    pages = bytearray(data)
    start = 0
    while start < len(pages):
        n_segments = pages[start + _SEGMENTS_AT] if start + _HEADER <= len(pages) else 0
        first = start + _HEADER
        stop = first + n_segments + sum(pages[first : first + n_segments])
        if pages[start : start + 4] != _MAGIC or stop > len(pages):
            raise ValueError(f"there is no Ogg page at byte {start}")
        page = pages[start:stop]
        page[_SERIAL] = serial.to_bytes(4, "little")
        page[_CHECKSUM] = bytes(4)
        page[_CHECKSUM] = _checksum(page).to_bytes(4, "little")
        pages[start:stop] = page
        start = stop
    return bytes(pages)


def _checksum(page: bytes | bytearray) -> int:
    table, value = _table(), 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value


@cache
def _table() -> tuple[int, ...]:
    found = []
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = value << 1 ^ (_POLYNOMIAL if value & 0x80000000 else 0)
        found.append(value & 0xFFFFFFFF)
    return tuple(found)
