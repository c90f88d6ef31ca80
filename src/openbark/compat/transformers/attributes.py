"""What the config and generation-config classes share: named attributes with defaults, dictionaries, JSON files.

transformers keeps keys it does not know; so do these classes when they read a file or a
dictionary, since files carry keys of many versions. A misspelt keyword in code is refused.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import ItemsView, Iterator, KeysView, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar, Unpack

import torch

from openbark.checkpoints.formats.json_file import read_json
from openbark.compat.transformers.locating import FromHub, locate
from openbark.compat.transformers.publishing import PushToHub, ToHub, save
from openbark.errors import CheckpointError, ParamError
from openbark.files import write_atomically

_OLDER_NAMES: Mapping[str, str] = MappingProxyType(
    {"torch_dtype": "dtype", "use_return_dict": "return_dict"}
)


class NamedAttributes(PushToHub):
    """Attributes with defaults, readable as attributes and as items.

    Items, because transformers keeps some of these as plain dictionaries (docs/parity.md H7): both
    `config.temperature` and `config["temperature"]` work, and `**config` too.
    """

    model_type: ClassVar[str] = ""
    file_name: ClassVar[str] = "config.json"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    attribute_map: ClassVar[Mapping[str, str]] = MappingProxyType({})
    also_accepted: ClassVar[frozenset[str]] = frozenset()
    open_attributes: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What transformers' class has besides and Bark does not read: their values unless they are set."""

    def __init__(self, **values: Any) -> None:
        """Keywords are `defaults`, the aliases of `attribute_map`, `also_accepted`, and `model_type`, which stays
        what it is; ParamError for others."""
        values.pop("model_type", None)
        allowed = {*self.defaults, *self.attribute_map, *_OLDER_NAMES, *self.also_accepted}
        unknown = sorted(set(values) - allowed)
        if unknown:
            raise ParamError(
                f"{type(self).__name__} has no {unknown[0]!r}; allowed: {', '.join(sorted(allowed))}"
            )
        self._fill(values)

    def _fill(self, values: Mapping[str, Any]) -> None:
        for name, default in self.defaults.items():
            setattr(self, name, copy.deepcopy(default))
        for name, value in values.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        target = self._target(name)
        if target != name:
            return getattr(self, target)
        if name not in self.open_attributes:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return copy.deepcopy(self.open_attributes[name])

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(self._target(name), value)

    @classmethod
    def _target(cls, name: str) -> str:
        """The name under which an attribute is kept."""
        return cls.attribute_map.get(name) or _OLDER_NAMES.get(name, name)

    def __dir__(self) -> list[str]:
        names = (*super().__dir__(), *self.open_attributes, *self.attribute_map, *_OLDER_NAMES)
        return sorted({name for name in names if hasattr(self, name)})

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(name) from error

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in self._values()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def _values(self) -> dict[str, Any]:
        """What is saved: attributes whose names begin with an underline are this object's own."""
        return {name: value for name, value in self.__dict__.items() if name[0] != "_"}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"

    def keys(self) -> KeysView[str]:
        """Names of the attributes."""
        return self._values().keys()

    def items(self) -> ItemsView[str, Any]:
        """Names and values."""
        return self._values().items()

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default` where there is none."""
        return getattr(self, name, default)

    def update(self, config_dict: Mapping[str, Any]) -> Any:
        """Set several attributes."""
        for name, value in config_dict.items():
            setattr(self, name, value)
        return None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """An object from the contents of a file; keys it does not know are kept as attributes."""
        found = cls()
        for name, value in values.items():
            if name != "model_type":
                setattr(found, name, value)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {name: _plain(value) for name, value in self._values().items()}
        return values | ({"model_type": self.model_type} if self.model_type else {})

    def to_diff_dict(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        plain = type(self)().to_dict()
        return {
            name: value
            for name, value in self.to_dict().items()
            if name == "model_type" or name not in plain or plain[name] != value
        }

    def to_json_file(self, json_file_path: str | os.PathLike[str]) -> None:
        """Write `to_json_string` to a file. Raises CheckpointError."""
        path = Path(json_file_path).expanduser()
        try:
            write_atomically(path, self.to_json_string().encode())
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error}") from error

    @classmethod
    def from_json_file(cls, json_file: str | os.PathLike[str]) -> Self:
        """Read such a file. Raises CheckpointError."""
        return cls.from_dict(read_json(Path(json_file).expanduser()))

    def to_json_string(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, default=str) + "\n"

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **from_hub: Unpack[FromHub]
    ) -> Self:
        """Read the file of this kind in a checkpoint folder. Raises CheckpointError or ParamError."""
        folder = locate(pretrained_model_name_or_path, from_hub, weights=False)
        found = cls.from_dict(read_json(folder / cls.file_name))
        found._came_from(pretrained_model_name_or_path)
        return found

    def _came_from(self, name_or_path: str | os.PathLike[str]) -> None:
        """Note where it was loaded from, for classes that tell."""

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        push_to_hub: bool = False,
        **to_hub: Unpack[ToHub],
    ) -> None:
        """Write the file of this kind into a folder, made if need be. Raises CheckpointError."""
        save(self._write, save_directory, push_to_hub, to_hub)

    def _write(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot make {folder}: {error}") from error
        self.to_json_file(folder / self.file_name)


_Kind = TypeVar("_Kind", bound=NamedAttributes)


def part_of(kind: type[_Kind], value: object) -> _Kind:
    """An object of `kind` from one, from another class's, from a dictionary, or with its defaults from None.

    Raises ParamError for anything else.
    """
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    if isinstance(value, NamedAttributes):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return kind.from_dict(value)
    raise ParamError(
        f"{kind.__name__} is set to a {type(value).__name__}; allowed: {kind.__name__}, a dictionary, or None"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, NamedAttributes):
        return value.to_dict()
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return copy.deepcopy(value)
