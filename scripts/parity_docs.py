"""Write docs/parity.md from docs/parity.toml and the names of the tests, or check that it is up to date.

python scripts/parity_docs.py            # write
python scripts/parity_docs.py --check    # exit 1 and show the difference when stale

The tests are read, not run. One row is one line of the page, so that two branches merge line by line; after a
conflict write the page again. How a test is named after its rows is said in docs/parity.toml.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "parity.md"
ROWS = ROOT / "docs" / "parity.toml"
TESTS = ROOT / "tests"
NO_TEST = "**no test yet**"
HEADER = """# Parity

Every row of the parity list, with the tests that carry its ID in their name, or why there is none. Written by
`make docs` from [parity.toml](parity.toml) and the tests; do not edit by hand.
"""
_OPTION = "option_"
_LEADING_ROW = re.compile(r"([SHCIMBKNshcimbkn]\d{1,2})(?:_|$)")
_TABLE_ARGUMENTS = ("row", "option")


@dataclass(frozen=True)
class Section:
    """Rows that belong together. only: tests below this folder of tests/ come here before any other section."""

    title: str
    rows: Mapping[str, str]
    untested: Mapping[str, str] = field(default_factory=dict)
    only: str = ""


def read_sections(text: str) -> list[Section]:
    """The sections of parity.toml."""
    return [Section(**section) for section in tomllib.loads(text)["section"]]


def rows_of_name(name: str, options: Sequence[str]) -> list[str]:
    """Rows that a test's name begins with: `test_s1_S2_x` has S1 and S2, `test_option_seed_and_silent` the
    rows option_seed and option_silent."""
    rest = name.removeprefix("test_")
    found: list[str] = []
    if rest.startswith(_OPTION):
        rest = rest.removeprefix(_OPTION)
        while match := _leading_option(rest, options):
            found.append(_OPTION + match)
            rest = rest.removeprefix(match)
            if not rest.startswith("_and_"):
                break
            rest = rest.removeprefix("_and_").removeprefix(_OPTION)
        return found
    while row := _LEADING_ROW.match(rest):
        found.append(row[1].upper())
        rest = rest[row.end() :]
    return found


def _leading_option(text: str, options: Sequence[str]) -> str | None:
    fitting = [name for name in options if text == name or text.startswith(f"{name}_")]
    return max(fitting, key=len, default=None)


def named_tests(source: str, options: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Names of the tests of a module that belong to rows, with those rows."""
    tree = ast.parse(source)
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            rows = rows_of_name(node.name, options)
            for decorator in node.decorator_list:
                rows += _rows_of_table(decorator, tables)
            if rows:
                yield node.name, list(dict.fromkeys(rows))


def _rows_of_table(decorator: ast.expr, tables: Mapping[str, ast.expr]) -> list[str]:
    """Rows of `@pytest.mark.parametrize("row", TABLE)`, where each entry is a name or begins with one."""
    if not (
        isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("parametrize")
    ):
        return []
    names = ast.literal_eval(decorator.args[0])
    first = (names.split(",") if isinstance(names, str) else list(names))[0].strip()
    if first not in _TABLE_ARGUMENTS:
        return []
    table = decorator.args[1]
    if isinstance(table, ast.Name):
        table = tables[table.id]
    entries = table.keys if isinstance(table, ast.Dict) else getattr(table, "elts", [])
    prefix = _OPTION if first == "option" else ""
    return [prefix + name for entry in entries if (name := _first_text(entry))]


def _first_text(entry: ast.expr | None) -> str | None:
    if isinstance(entry, ast.Constant) and isinstance(entry.value, str):
        return entry.value
    inside = entry.args if isinstance(entry, ast.Call) else getattr(entry, "elts", [])
    return _first_text(inside[0]) if inside else None


def rows_to_tests(
    sections: Sequence[Section], folder: Path
) -> dict[tuple[str, str], dict[str, list[str]]]:
    """(section title, row) to file to tests. Raises ValueError for a test named after a row that is not."""
    options = [
        row.removeprefix(_OPTION)
        for section in sections
        for row in section.rows
        if row.startswith(_OPTION)
    ]
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        file = path.relative_to(folder).as_posix()
        for test, rows in named_tests(path.read_text(encoding="utf-8"), options):
            for row in rows:
                title = next(
                    (s.title for s in sections if row in s.rows and file.startswith(s.only)), None
                )
                if title is None:
                    raise ValueError(
                        f"{file}: {test} is named after {row}, which is no row of {ROWS.name}"
                    )
                found.setdefault((title, row), {}).setdefault(file, []).append(test)
    return found


def render(sections: Sequence[Section], folder: Path = TESTS) -> str:
    """The whole page. Raises ValueError for names that do not fit the rows."""
    found = rows_to_tests(sections, folder)
    parts = [HEADER]
    for section in sections:
        lines = [f"## {section.title}", "", "| row | what | tests |", "|---|---|---|"]
        for row, about in section.rows.items():
            files = found.get((section.title, row), {})
            reason = section.untested.get(row)
            if files and reason is not None:
                raise ValueError(
                    f"{row} has tests ({', '.join(files)}) and a reason for none: {reason}"
                )
            shown = _links(files) or reason or NO_TEST
            lines.append(f"| {row.removeprefix(_OPTION)} | {about} | {shown} |")
        unknown = sorted(set(section.untested) - set(section.rows))
        if unknown:
            raise ValueError(f"{section.title}: reasons for rows that are not there: {unknown}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _links(files: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(
        f"[{file}](../tests/{file}) {', '.join(f'`{test}`' for test in tests)}"
        for file, tests in files.items()
    )


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="do not write, exit 1 when stale")
    arguments = parser.parse_args()
    try:
        fresh = render(read_sections(ROWS.read_text(encoding="utf-8")))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if not arguments.check:
        PAGE.write_text(fresh, encoding="utf-8")
        bare = [line.split(" ")[1] for line in fresh.splitlines() if NO_TEST in line]
        print(f"{len(bare)} rows without a test or a reason: {' '.join(bare)}")
        return 0
    stored = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if stored == fresh:
        return 0
    lines = (stored.splitlines(), fresh.splitlines())
    print("\n".join(difflib.unified_diff(*lines, "docs/parity.md", "the tests", lineterm="")))
    print("docs/parity.md is stale; run `make docs`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
