"""Prints lines, modules and the share of imports and `__all__` of the core: the package without batch jobs.

They show whether the core grows without new behaviour, and how much of it is imports.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from architecture_rules import Module, read_package  # noqa: E402

OUTSIDE = ("openbark.batch",)


def in_core(module: Module) -> bool:
    """Whether a module counts."""
    return not any(module.name == room or module.name.startswith(room + ".") for room in OUTSIDE)


def passing_on(module: Module) -> int:
    """Lines of import statements and of `__all__`."""
    lines: set[int] = set()
    for node in ast.walk(module.tree):
        names_all = isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in ast.unparse(node)
        if isinstance(node, ast.Import | ast.ImportFrom) or names_all:
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def main() -> None:
    """Print the figures."""
    core = [module for module in read_package() if in_core(module)]
    lines = sum(len(module.source.splitlines()) for module in core)
    share = 100 * sum(map(passing_on, core)) / lines
    print(f"modules {len(core)}, lines {lines}, imports and __all__ {share:.1f} %")


if __name__ == "__main__":
    main()
