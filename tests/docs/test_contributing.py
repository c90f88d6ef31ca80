"""CONTRIBUTING.md states the rules that the architecture test applies, and no others."""

from __future__ import annotations

from architecture_rules import (
    LEVELS,
    PACKAGE,
    ROOT,
    SERVER_LEVELS,
    STANDARD_LIBRARY_ONLY,
    TORCH_ROOMS,
)

START, END = "<!-- levels -->\n", "<!-- end of levels -->"


def _names(rooms: frozenset[str]) -> str:
    return ", ".join(f"`{room}`" for room in sorted(rooms))


def _level(number: int, rooms: frozenset[str]) -> str:
    if rooms == {""}:
        return f"{number}. (top) `openbark` itself: lazy names from anywhere"
    ending = ": standard library only" if rooms == STANDARD_LIBRARY_ONLY else ""
    return f"{number}. {_names(rooms)}{ending}"


def expected() -> str:
    levels = [_level(number, rooms) for number, rooms in enumerate(reversed(LEVELS), 1)]
    torch = ", ".join(sorted(f"`{room.removeprefix('openbark.')}`" for room in TORCH_ROOMS))
    server = "; ".join(_names(rooms) for rooms in reversed(SERVER_LEVELS))
    inside = f"Inside `server`, from the top: {server}."
    return "\n".join([*levels, "", inside, "", f"torch is imported in {torch}.", ""])


def test_levels_are_those_of_the_architecture_test() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert page.partition(START)[2].partition(END)[0] == expected()


def test_every_room_is_there() -> None:
    declared = {room for rooms in LEVELS for room in rooms if room}
    there = {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").is_file()) and path.name != "__init__.py"
    }
    assert declared == there
