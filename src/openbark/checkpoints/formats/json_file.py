"""JSON files of a checkpoint folder: read with the position of every fault, and typed access to their keys.

Knows no key of any format; those are `config_json` and `generation_json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbark.errors import CheckpointCorruptError, CheckpointNotFoundError

_LARGEST = 1e300
"""Numbers beyond are taken for infinite: nothing can be computed with them."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointNotFoundError, or CheckpointCorruptError with line and
    column."""
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(f"{path} does not exist") from error
    except UnicodeDecodeError as error:
        raise CheckpointCorruptError(
            f"{path} is not JSON: byte {error.start} is not text; fetch or write the file again"
        ) from error
    except json.JSONDecodeError as error:
        raise CheckpointCorruptError(
            f"{path} is not JSON: {error.msg} at line {error.lineno} column {error.colno}; "
            "fetch or write the file again"
        ) from error
    except (
        RecursionError,
        ValueError,
    ) as error:  # Nested too deeply; a number of thousands of digits.
        raise CheckpointCorruptError(
            f"{path} cannot be read: {str(error)[:80]}; fetch or write the file again"
        ) from error
    if not isinstance(values, dict):
        raise CheckpointCorruptError(
            f"{path} must hold a JSON object, holds {type(values).__name__}"
        )
    return values


@dataclass(frozen=True)
class Section:
    """One JSON object of a file. Each getter takes the key's names, the preferred one first, and a default
    for an absent key or null; without a default that is a CheckpointCorruptError, as is a wrong type."""

    file: Path
    where: str
    values: Mapping[str, Any]

    def sub(self, key: str) -> Section:
        """The object under `key`; an absent one is empty."""
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self._wrong(key, value, "an object")
        return Section(self.file, f"{self.where}{key}.", value)

    def has(self, key: str) -> bool:
        """Whether `key` is there, be it null."""
        return key in self.values

    def integer(self, *names: str, default: int | None = None) -> int:
        """A whole number."""
        name, value = self._find(names, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, value, "a whole number")
        return value

    def number(self, *names: str, default: float | None = None) -> float:
        """A finite number."""
        name, value = self._find(names, default)
        return self._number(name, value)

    def boolean(self, *names: str, default: bool | None = None) -> bool:
        """true or false."""
        name, value = self._find(names, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def text(self, *names: str, default: str | None = None) -> str:
        """A string."""
        name, value = self._find(names, default)
        if not isinstance(value, str):
            raise self._wrong(name, value, "a string")
        return value

    def items(self, *names: str, default: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
        """The entries of a list."""
        name, value = self._find(names, default)
        if not isinstance(value, (list, tuple)):
            raise self._wrong(name, value, "a list")
        return tuple(value)

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """The entries of a list of whole numbers."""
        values = self.items(name, default=default)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int):
                raise self._wrong(name, value, "a list of whole numbers")
        return values

    def numbers(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """The entries of a list of finite numbers."""
        return tuple(self._number(name, value) for value in self.items(name, default=default))

    def absent(self, *names: str) -> list[str]:
        """Those of `names` that are not there, with the path to them inside the file."""
        return [f"{self.where}{name}" for name in names if self.values.get(name) is None]

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(name, value, "a number")
        if not -_LARGEST <= value <= _LARGEST:
            raise self._wrong(name, value, "a finite number")
        return float(value)

    def _find(self, names: tuple[str, ...], default: Any) -> tuple[str, Any]:
        for name in names:
            if self.values.get(name) is not None:
                return name, self.values[name]
        if default is None:
            raise CheckpointCorruptError(f"{self.file} lacks {self.where}{names[0]}")
        return names[0], default

    def _wrong(self, name: str, value: Any, expected: str) -> CheckpointCorruptError:
        return CheckpointCorruptError(
            f"{self.file}: {self.where}{name} must be {expected}, is {_shown(value)}"
        )


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except ValueError:  # A whole number of thousands of digits has no repr.
        return f"a {type(value).__name__} of endless length"
