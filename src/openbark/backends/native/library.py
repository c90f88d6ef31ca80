"""The compiled engine loaded with ctypes: where it is, how its calls fail, and its pool of threads.

Knows no model. Every call releases the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from enum import IntEnum
from pathlib import Path
from typing import Any

from openbark.errors import InputError, MissingExtraError, OpenBarkError, ParamError

__all__ = [
    "KERNELS_VARIABLE",
    "LIBRARY_VARIABLE",
    "Kernels",
    "Pool",
    "available_kernels",
    "library_path",
    "load_library",
]

KERNELS_VARIABLE = "OPENBARK_KERNELS"
"""Environment variable that names the kernel variant to use instead of the fastest."""

LIBRARY_VARIABLE = "OPENBARK_NATIVE_LIBRARY"
"""Environment variable that names another build of the library, such as one with sanitizers."""

_VERSION = 4
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


def load_library(path: Path | None = None) -> ctypes.CDLL:
    """Open the library.

    Raises MissingExtraError when it was not built, cannot be opened, or belongs to another version.
    """
    file = path or library_path()
    two_ways = (
        "either install a C++17 compiler (g++ or clang++) and install openbark again, "
        "or use PyTorch instead: pip install 'openbark[torch]'"
    )
    if not file.exists():
        raise MissingExtraError(
            f"the CPU engine is not there ({file.name} was not built, as this machine had no C++ compiler "
            f"when openbark was installed); {two_ways}"
        )
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise MissingExtraError(f"{file} does not open ({error}); {two_ways}") from error
    found = library.ob_version()
    if found != _VERSION:
        raise MissingExtraError(
            f"{file} is version {found} of the CPU engine, this openbark needs {_VERSION}; {two_ways}"
        )
    library.ob_error.restype = ctypes.c_char_p
    library.ob_pool_kernels.restype = ctypes.c_char_p
    library.ob_uniform.restype = ctypes.c_double
    return library


def available_kernels() -> tuple[Kernels, ...]:
    """The variants that this build holds and this processor runs, slowest first."""
    library = load_library()
    return tuple(kind for kind in Kernels if library.ob_isa_available(int(kind)))


def _chosen_kernels(library: ctypes.CDLL, name: str | None) -> int:
    wanted = name or os.environ.get(KERNELS_VARIABLE)
    if not wanted:
        return int(library.ob_best_isa())
    legal = [kind.name.lower() for kind in Kernels if library.ob_isa_available(int(kind))]
    if wanted not in legal:
        raise ParamError(f"kernels is {wanted!r}; this processor runs: {', '.join(legal)}")
    return int(Kernels[wanted.upper()])


class Pool:
    """Threads and the kernels they run. Idle threads sleep; the pool ends with the last object that uses it."""

    def __init__(self, threads: int | None = None, kernels: str | None = None) -> None:
        """threads: None takes the cores this process may use. kernels: "generic", "avx2", "avx512" or
        "neon"; None takes OPENBARK_KERNELS from the environment, or the fastest.

        Raises ParamError for what this machine does not have, MissingExtraError without the library.
        """
        if threads is not None and (isinstance(threads, bool) or threads < 1):
            raise ParamError(f"threads is {threads}; legal: a whole number from 1, or None")
        self.library = load_library()
        handle = ctypes.c_void_p()
        isa = _chosen_kernels(self.library, kernels)
        self.call(
            "ob_pool_create", ctypes.c_int(threads or 0), ctypes.c_int(isa), ctypes.byref(handle)
        )
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
