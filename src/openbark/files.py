"""Files written whole or not at all: to a temporary name in the same folder, then renamed; and lock files.

Knows no file format. Errors are the operating system's (`OSError`); callers name them in their own terms.
Standard library only.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def expanded(path: str | os.PathLike[str]) -> Path:
    """`path` with a leading `~` or `~user` replaced by that home folder; as it is where there is none."""
    found = Path(path)
    try:
        return found.expanduser()
    except RuntimeError:
        return found


def check_writable(path: Path) -> None:
    """Raise OSError unless a file can be written at `path`; leaves nothing behind.

    For asking before minutes of work, not after.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory")
    if _is_special(path):
        return
    target = _resolved(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist")
    probe = _temporary_name(target)
    with probe.open("xb"):
        pass
    probe.unlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, replacing a file that is there only once the new one is complete.

    A link is followed; a device or pipe is written to directly. Raises OSError.
    """
    if _is_special(path):
        with path.open("wb") as stream:
            stream.write(data)
        return
    with replacing(path) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file to write to, which takes the place of `path` when the block ends well, and vanishes otherwise.

    A link is followed. Whether the content survives a power cut is the caller's business (`os.fsync`).
    Raises OSError.
    """
    target = _resolved(path)
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a directory")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist")
    temporary = _temporary_name(target)
    try:
        with temporary.open("xb") as stream:
            yield stream
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file at `path`, made if need be, against other processes; waits for its turn.

    wait: False raises OSError at once where another process holds it. The lock ends with the process, however that
    ends; the empty file stays. Raises OSError.
    """
    with path.open("ab") as stream:
        _take(stream, wait)
        yield


def _take(stream: IO[bytes], wait: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _resolved(path: Path) -> Path:
    """`path` without links. Raises OSError for links that lead in a circle, and names no system takes."""
    try:
        found = path.resolve()
    except (RuntimeError, ValueError) as error:
        raise OSError(f"{path!s} is not a usable name ({error})") from error
    if found.is_symlink():  # newer Pythons give back what they cannot resolve
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return found


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _temporary_name(target: Path) -> Path:
    return target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
