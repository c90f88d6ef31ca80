"""The compiled engine loaded with ctypes: where it is, how its calls fail, and its pool of threads.

Knows no model. Every call releases the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import weakref
from enum import IntEnum
from numbers import Integral
from pathlib import Path
from typing import Any

from openbark.backends.native.capi import PoolHandle, declare, header_version
from openbark.errors import InputError, MissingExtraError, OpenBarkError, ParamError

KERNELS_VARIABLE = "OPENBARK_KERNELS"
"""Environment variable that names the kernel variant to use instead of the fastest."""

LIBRARY_VARIABLE = "OPENBARK_NATIVE_LIBRARY"
"""Environment variable that names another build of the library, such as one with sanitizers."""

_LOG = logging.getLogger(__name__)
_MOST_THREADS = 1024
_STATUS_INVALID, _STATUS_NO_MEMORY = 1, 2


class Kernels(IntEnum):
    """Kernel variants; the numbers are those of `src/cpu.h`."""

    GENERIC = 0
    AVX2 = 1
    AVX512 = 2
    NEON = 3


def library_path() -> Path:
    """Where the build puts the library, or OPENBARK_NATIVE_LIBRARY; the file may be absent."""
    other = os.environ.get(LIBRARY_VARIABLE)
    if other:
        return Path(other)
    return Path(__file__).with_name(
        "libopenbark.dll" if sys.platform == "win32" else "libopenbark.so"
    )


def source_folder() -> Path | None:
    """The clone that this package is imported from; None for an installed package."""
    package = Path(__file__).parents[2]
    root = package.parents[1]
    is_clone = package.parent.name == "src" and (root / "setup.py").is_file()
    return root if is_clone else None


def how_to_get_engine() -> str:
    """What to do where the CPU engine is not compiled, as part of a sentence."""
    root = source_folder()
    if root is None:
        return "install a C++17 compiler (g++ or clang++) and install openbark again"
    return (
        f"compile it: Python imports openbark from the source folder {root}, where it is not compiled yet "
        "(run `make native` or `pip install -e .` there, or `pip install .` and start Python without that "
        "folder's src on its path)"
    )


def usable_cores() -> int:
    """Cores that affinity and the control group's quota leave to this process."""
    if library_path().exists():
        return int(load_library().ob_usable_cores())
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked_threads(threads: object) -> int | None:
    """A number of threads as a plain int; None stays None, "as many as there are cores".

    Raises ParamError for anything but a whole number from 1.
    """
    if threads is None:
        return None
    if not isinstance(threads, Integral) or isinstance(threads, bool) or threads < 1:
        raise ParamError(
            f"threads is {threads!r}; allowed: a whole number from 1, or None for all cores"
        )
    return int(threads)


def usable_threads(threads: object) -> int | None:
    """`checked_threads`, at most one for each usable core: more would only wait for each other. A number that is
    reduced is named in the log."""
    wanted = checked_threads(threads)
    if wanted is None:
        return None
    cores = usable_cores()
    if wanted > cores:
        _LOG.warning(
            "threads=%d is more than the %d cores that this process may use; computing with %d threads",
            wanted,
            cores,
            cores,
        )
    return min(wanted, cores)


def load_library(path: Path | None = None) -> ctypes.CDLL:
    """Open the library.

    Raises MissingExtraError when it was not built, cannot be opened, or belongs to another version.
    """
    file = path or library_path()
    two_ways = (
        f"either {how_to_get_engine()}, or use PyTorch instead: pip install 'openbark[torch]'"
    )
    if not file.exists():
        raise MissingExtraError(f"the CPU engine is not compiled ({file} is missing); {two_ways}")
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise MissingExtraError(f"{file} does not open ({error}); {two_ways}") from error
    version = getattr(library, "ob_version", None)
    if version is not None:
        version.restype = ctypes.c_uint64
    if version is None or version() != header_version():
        raise MissingExtraError(
            f"{file} is the CPU engine of another version of openbark; {two_ways}"
        )
    declare(library)
    return library


def available_kernels() -> tuple[Kernels, ...]:
    """The variants that this build holds and this processor runs, slowest first."""
    library = load_library()
    return tuple(kind for kind in Kernels if library.ob_isa_available(int(kind)))


def _chosen_kernels(library: ctypes.CDLL, name: str | None) -> int:
    wanted = name or os.environ.get(KERNELS_VARIABLE)
    if not wanted:
        return int(library.ob_best_isa())
    allowed = [kind.name.lower() for kind in Kernels if library.ob_isa_available(int(kind))]
    if wanted not in allowed:
        raise ParamError(f"kernels is {wanted!r}; this processor runs: {', '.join(allowed)}")
    return int(Kernels[wanted.upper()])


class Pool:
    """Threads and the kernels they run. Idle threads sleep; the pool ends with the last object that uses it."""

    def __init__(self, threads: int | None = None, kernels: str | None = None) -> None:
        """threads: None takes the cores this process may use; more than these are slower, but start
        (`usable_threads` reduces them). kernels: "generic", "avx2", "avx512" or
        "neon"; None takes OPENBARK_KERNELS from the environment, or the fastest.

        Raises ParamError for what this machine does not have, MissingExtraError without the library.
        """
        wanted = checked_threads(threads) or 0
        if wanted > _MOST_THREADS:
            raise ParamError(
                f"threads is {threads}; allowed: 1 to {_MOST_THREADS}, or None for all cores"
            )
        self.library = load_library()
        handle = PoolHandle()
        isa = _chosen_kernels(self.library, kernels)
        self.call("ob_pool_create", wanted, isa, ctypes.byref(handle))
        self.handle = handle
        weakref.finalize(self, self.library.ob_pool_destroy, handle)

    @property
    def threads(self) -> int:
        """Threads that share the work, the caller's included."""
        return int(self.library.ob_pool_size(self.handle))

    @property
    def kernels(self) -> str:
        """Name of the kernel variant."""
        name: bytes = self.library.ob_pool_kernels(self.handle)
        return name.decode()

    @property
    def precisions(self) -> int:
        """Bit p is set when weights of precision p can be used."""
        return int(self.library.ob_pool_precisions(self.handle))

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function of the library that returns a status.

        Raises InputError for arguments it refuses, MemoryError, or OpenBarkError.
        """
        status = getattr(self.library, function)(*arguments)
        if status == 0:
            return
        message = (self.library.ob_error() or b"").decode(errors="replace")
        if status == _STATUS_INVALID:
            raise InputError(message)
        if status == _STATUS_NO_MEMORY:
            raise MemoryError(f"{function}: {message}")
        raise OpenBarkError(f"{function}: {message}")
