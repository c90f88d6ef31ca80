"""Builds the compiled CPU engine beside the Python files. Everything else is in pyproject.toml.

The extension is optional: without a C++ compiler the package installs without it, and says so when it is asked
to speak. Each kernel file compiles its functions for one instruction set, so one library serves all machines.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_NATIVE = Path("src/openbark/backends/native")
_SOURCES = _NATIVE / "src"
_HEADER = _NATIVE / "include" / "openbark.h"
# The library and the Python side must be of the same header: both compare this.
_VERSION = hashlib.sha256(_HEADER.read_bytes()).hexdigest()[:16]


class BuildPlainLibrary(build_ext):
    """A shared library for ctypes: the name has no Python version, and no module entry point is exported."""

    user_options: ClassVar = [
        *build_ext.user_options,
        ("strict", None, "warnings are errors, and a failure to compile fails the build"),
    ]
    boolean_options: ClassVar = [*build_ext.boolean_options, "strict"]

    def initialize_options(self) -> None:
        """Not strict: a user's newer compiler may warn of more than ours does."""
        super().initialize_options()
        self.strict = False

    def build_extension(self, ext: Extension) -> None:
        """Compile and link."""
        if self.strict:
            ext.extra_compile_args = [*ext.extra_compile_args, "-Werror"]
            ext.optional = False
        super().build_extension(ext)

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Nothing but the functions marked in the sources."""
        return []

    def get_ext_filename(self, fullname: str) -> str:
        """The same name on every Python."""
        suffix = ".dll" if sys.platform == "win32" else ".so"
        return str(Path(*fullname.split("."))) + suffix


_engine = Extension(
    "openbark.backends.native.libopenbark",
    sources=sorted(str(path) for path in _SOURCES.glob("*.cpp")),
    depends=sorted(str(path) for path in (_HEADER, *_SOURCES.glob("*.h"), *_SOURCES.glob("*.inc"))),
    define_macros=[("OB_VERSION", f"0x{_VERSION}ULL")],
    language="c++",
    extra_compile_args=[
        "-std=c++17",
        "-O3",
        "-g0",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-Wno-psabi",
    ],
    extra_link_args=["-pthread"],
    optional=True,
)

setup(ext_modules=[_engine], cmdclass={"build_ext": BuildPlainLibrary})
