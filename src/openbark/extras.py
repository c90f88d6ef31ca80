"""Which extra of openbark brings a package, and the one line that says so when it is missing.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from types import MappingProxyType

from openbark.errors import MissingExtraError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "torch": ("torch", "train", "bench", "clone"),
        "tensorboard": ("train",),
        "transformers": ("clone",),
        "fastapi": ("server",),
        "starlette": ("server",),
        "uvicorn": ("server",),
        "multipart": ("server",),
        "python_multipart": ("server",),
        "prometheus_client": ("server",),
        "pydantic": ("server",),
        "pydantic_settings": ("server",),
        "websockets": ("server",),
        "wyoming": ("wyoming",),
        "av": ("av",),
        "opentelemetry": ("otel",),
        "ray": ("ray",),
        "pocketsphinx": ("bench",),
        "matplotlib": ("bench",),
    }
)
"""Packages by the name they are imported under, and the extras that bring them, the usual one first."""


def install_line(extra: str) -> str:
    """What to type."""
    return f"pip install 'openbark[{extra}]'"


def missing_package(error: ImportError, command: str = "") -> MissingExtraError | None:
    """The error for a package that is not installed; None where one of our own modules was not found.

    command: what was being done, such as "train"; an extra of that name is offered where it brings the package.
    """
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in ("", "openbark", "bark"):
        return None
    extras = EXTRAS.get(package)
    if extras is None:
        return MissingExtraError(
            f"the package {package} is missing, and openbark always needs it; "
            "install openbark again: pip install --force-reinstall openbark"
        )
    extra = command if command in extras else extras[0]
    what = f"openbark {command}" if command else "this"
    return MissingExtraError(
        f"{what} needs {package}, which is not installed; install it with {install_line(extra)}"
    )


def require_packages(packages: Iterable[str], command: str) -> None:
    """Raise MissingExtraError for the first package that is not installed, before work that needs it begins."""
    for package in packages:
        try:
            is_there = find_spec(package) is not None
        except (ImportError, ValueError):
            is_there = False
        if not is_there:
            error = missing_package(ModuleNotFoundError(package, name=package), command)
            if error is not None:
                raise error
