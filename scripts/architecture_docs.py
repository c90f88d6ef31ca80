"""Writes the diagram of docs/architecture.md from the imports of the package: `make docs`.

A box is a top-level module, a row is a level of `tests/architecture_rules.py`. An arrow is drawn to what a module imports
unless something it imports, imports that in turn.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from architecture_rules import LEVELS, PACKAGE, imports, read_package  # noqa: E402

PAGE = ROOT / "docs" / "architecture.md"
START, END = "<!-- diagram -->\n", "<!-- end of diagram -->"
# Imported from everywhere: arrows to them would hide the others.
_EVERYWHERE = LEVELS[0]


def edges() -> dict[str, set[str]]:
    """For each top-level module, the top-level modules that it imports; the lowest level and the package's own
    `__init__` are left out."""
    found: dict[str, set[str]] = {
        room: set() for rooms in LEVELS[1:] for room in rooms if room and room != "__main__"
    }
    for module in read_package(PACKAGE):
        if module.room not in found:
            continue
        for _, name in imports(module):
            parts = name.split(".")
            if parts[0] == "openbark" and len(parts) > 1 and parts[1] in found:
                found[module.room].add(parts[1])
        found[module.room].discard(module.room)
    return found


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        room = waiting.pop()
        if room not in seen:
            seen.add(room)
            waiting.extend(graph[room])
    return seen


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same graph without the arrows that a longer way implies."""
    result = {}
    for room, targets in graph.items():
        implied = set().union(*(_reached(graph, target) for target in targets), set())
        result[room] = targets - implied
    return result


def diagram() -> str:
    """The mermaid block."""
    lines = ["```mermaid", "flowchart TD"]
    for number, rooms in enumerate(reversed(LEVELS[1:-1]), 1):
        names = sorted(room for room in rooms if room != "__main__")
        lines.append(f"  subgraph level{number}[ ]")
        lines += [f"    {room}" for room in names]
        lines.append("  end")
    lowest = ", ".join(sorted(_EVERYWHERE))
    lines.append(f'  everywhere["{lowest}: imported from everywhere"]')
    graph = reduced(edges())
    for room in sorted(graph):
        lines += [f"  {room} --> {target}" for target in sorted(graph[room])]
    ends = sorted(room for room, targets in graph.items() if not targets)
    lines += [f"  {room} --> everywhere" for room in ends]
    return "\n".join([*lines, "```", ""])


def main() -> None:
    """Write the page, or with --check fail where it differs."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    fresh = head + START + diagram() + END + tail
    if "--check" in sys.argv[1:]:
        if fresh != text:
            sys.exit("docs/architecture.md: the diagram is old; run `make docs`")
        return
    PAGE.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
