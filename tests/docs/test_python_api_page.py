"""docs/python-api.md has an entry for every public name, and a block that uses it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import openbark

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEXT = PAGE.read_text(encoding="utf-8")
CODE = "\n".join(BLOCK.findall(TEXT))
ENTRIES = set(re.findall(r"`([\w.]+)`", TEXT))
USED = set(re.findall(r"\w+", CODE))


def members(cls: type) -> set[str]:
    """Public fields, properties and methods that a class of ours has itself."""
    fields = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()  # fmt: skip
    return {name for name in {*vars(cls), *fields} if not name.startswith("_")}


CLASSES = {
    name: value for name in openbark.__all__ if inspect.isclass(value := getattr(openbark, name))
}


def missing(names: set[str], entries: set[str], used: set[str]) -> set[str]:
    """Dotted names without an entry, or whose last part no block uses."""
    return {name for name in names if name not in entries or name.split(".")[-1] not in used}


@pytest.mark.parametrize("name", openbark.__all__)
def test_every_public_name_has_an_entry_and_an_example(name: str) -> None:
    assert name in USED
    if name in CLASSES:
        assert (
            name in ENTRIES or f"### {name}" in TEXT or re.search(rf"^### .*\b{name}\b", TEXT, re.M)
        )


@pytest.mark.parametrize("name", CLASSES)
def test_every_member_has_an_entry_and_an_example(name: str) -> None:
    cls = CLASSES[name]
    inherited = issubclass(cls, openbark.OpenBarkError) and cls is not openbark.OpenBarkError
    own = {f"{name}.{member}" for member in members(cls)}
    if inherited:
        own = {each for each in own if each.split(".")[-1] not in ("exit_code", "http_status")}
    assert missing(own, ENTRIES, USED) == set()


def test_a_name_without_entry_or_example_is_noticed() -> None:
    names = {"Clip.sing", "Clip.dance", "Clip.save"}
    assert missing(names, {"Clip.sing", "Clip.save"}, {"dance", "save"}) == {
        "Clip.sing",
        "Clip.dance",
    }
    assert len(CLASSES) > 20
    assert len(members(openbark.Clip)) > 25
