"""This process: what its standard streams are, and how it shares the machine's cores."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import IO, Any


def open_closed_streams() -> None:
    """Give the numbers of closed streams to the null device.

    The next file that is opened would take them, and what is written to stderr would end in it. Python has None for
    such a stream; stdout stays None, so that audio for it is refused, and stderr becomes one that drops everything.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def is_pipe(stream: IO[Any] | None) -> bool:
    """Whether it is the end of a pipe or a socket."""
    mode = _mode(stream)
    return mode is not None and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


def is_regular_file(stream: IO[Any] | None) -> bool:
    """Whether it is a file on disk."""
    mode = _mode(stream)
    return mode is not None and stat.S_ISREG(mode)


def audio_file_of_stdout() -> Path | None:
    """The file that stdout was redirected to, where the system can tell and its name ends in a suffix."""
    if not is_regular_file(sys.stdout):
        return None
    try:
        path = Path(f"/proc/self/fd/{sys.stdout.fileno()}").readlink()
    except OSError:
        return None
    return path if path.suffix else None


def _mode(stream: IO[Any] | None) -> int | None:
    if stream is None:
        return None
    try:
        return os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or none of the system's
        return None


def share_cores() -> None:
    """Let idle OpenMP threads sleep instead of spinning; call before torch is imported.

    Small matrices make thousands of short parallel regions. Where another process wants the cores,
    spinning at the end of each costs whole scheduler slices: 40 times the wall time was measured on two
    busy cores. A user's own OMP_WAIT_POLICY stands.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
