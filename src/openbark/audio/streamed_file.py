"""The file that an encoder of another library writes to, for a stream that cannot be written a second time."""

from __future__ import annotations

import os

Patch = tuple[int, bytes]
"""An offset in the file, and the bytes that belong there."""


class StreamedFile:
    """A file in memory that an encoder writes: what was appended is taken block by block, what is overwritten later is
    kept as patches."""

    def __init__(self) -> None:
        self._fresh = bytearray()
        self._taken = 0
        self._position = 0
        self.patches: list[Patch] = []

    def take(self) -> bytes:
        """What was appended since the last call."""
        fresh = bytes(self._fresh)
        self._taken += len(fresh)
        self._fresh.clear()
        return fresh

    def write(self, data: bytes) -> int:
        """Write at the position, as a file does."""
        chunk = bytes(data)
        n_late = min(max(self._taken - self._position, 0), len(chunk))
        if n_late:
            self.patches.append((self._position, chunk[:n_late]))
        start = self._position + n_late - self._taken
        self._fresh[start : start + len(chunk) - n_late] = chunk[n_late:]
        self._position += len(chunk)
        return len(chunk)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as a file does."""
        size = self._taken + len(self._fresh)
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position
