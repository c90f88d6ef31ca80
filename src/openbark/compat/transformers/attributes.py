"""What the config and generation-config classes share: named attributes with defaults, dictionaries, JSON files.

Knows no model. transformers keeps keys it does not know; so do these classes when they read a file or a
dictionary, since files carry keys of many versions. A misspelt keyword in code is refused.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import ItemsView, Iterator, KeysView, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, Unpack

from openbark.checkpoints.json_file import read_json
from openbark.compat.transformers.locating import FromHub, locate
from openbark.compat.transformers.publishing import PushToHub, ToHub, save
from openbark.errors import CheckpointError, ParamError
from openbark.files import write_atomically

__all__ = ["NamedAttributes"]


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

    def __init__(self, **values: Any) -> None:
        """Keywords are `defaults`, the aliases of `attribute_map`, `also_accepted`, and `model_type`, which stays
        what it is; ParamError for others."""
        values.pop("model_type", None)
        legal = {*self.defaults, *self.attribute_map, *self.also_accepted}
        unknown = sorted(set(values) - legal)
        if unknown:
            raise ParamError(
                f"{type(self).__name__} has no {unknown[0]!r}; legal: {', '.join(sorted(legal))}"
            )
        self._fill(values)

    def _fill(self, values: Mapping[str, Any]) -> None:
        for name, default in self.defaults.items():
            setattr(self, name, copy.deepcopy(default))
        for name, value in values.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        target = type(self).attribute_map.get(name)
        if target is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return getattr(self, target)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(self.attribute_map.get(name, name), value)

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(name) from error

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"

    def keys(self) -> KeysView[str]:
        """Names of the attributes."""
        return self.__dict__.keys()

    def items(self) -> ItemsView[str, Any]:
        """Names and values."""
        return self.__dict__.items()

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default` where there is none."""
        return getattr(self, name, default)

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several attributes."""
        for name, value in values.items():
            setattr(self, name, value)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """An object from the contents of a file; keys it does not know are kept as attributes."""
        found = cls()
        found.update({name: value for name, value in values.items() if name != "model_type"})
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {
            name: value.to_dict() if isinstance(value, NamedAttributes) else copy.deepcopy(value)
            for name, value in self.__dict__.items()
        }
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
        path = Path(json_file_path)
        try:
            write_atomically(path, self.to_json_string().encode())
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error}") from error

    @classmethod
    def from_json_file(cls, json_file: str | os.PathLike[str]) -> Self:
        """Read such a file. Raises CheckpointError."""
        return cls.from_dict(read_json(Path(json_file)))

    def to_json_string(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, default=str) + "\n"

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **from_hub: Unpack[FromHub]
    ) -> Self:
        """Read the file of this kind in a checkpoint folder. Raises CheckpointError or ParamError."""
        folder = locate(pretrained_model_name_or_path, from_hub, weights=False)
        return cls.from_dict(read_json(folder / cls.file_name))

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
