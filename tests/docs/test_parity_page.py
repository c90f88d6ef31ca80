"""docs/parity.md is what docs/parity.toml and the names of the tests say; its tool notices what does not fit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from openbark.compat.infinity.options import OPTIONS
from scripts.parity_docs import (
    NO_TEST,
    ROWS,
    Section,
    named_tests,
    read_sections,
    render,
    rows_of_name,
)

ROOT = Path(__file__).parents[2]
LIST = ROOT.parent / "shared" / "parity.md"
CHOICES = ["seed", "silent", "split_by", "split_by_value"]


def test_the_page_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/parity_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_row_has_a_test_or_a_reason() -> None:
    lines = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if NO_TEST in line] == []


@pytest.mark.skipif(not LIST.is_file(), reason="the parity list is not here")
def test_every_row_of_the_list_is_in_the_data() -> None:
    """Rows of all tables; C1-C5 are rows twice over: of Coqui's model, and headings of the formats."""
    text = LIST.read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([SHCIMBKN]\d+) \|", text, re.MULTILINE)
    listed += re.findall(r"^## (C\d)\.", text, re.MULTILINE)
    rows = [row for section in read_sections(ROWS.read_text("utf-8")) for row in section.rows]
    assert len(listed) > 150
    assert sorted(listed) == sorted(row for row in rows if not row.startswith("option_"))


def test_every_documented_option_is_in_the_data() -> None:
    rows = [row for section in read_sections(ROWS.read_text("utf-8")) for row in section.rows]
    documented = [f"option_{item.name}" for item in OPTIONS if item.documented]
    assert sorted(documented) == sorted(row for row in rows if row.startswith("option_"))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_S1_s2_H30_names", ["S1", "S2", "H30"]),
        ("test_I5", ["I5"]),
        ("test_a_row_in_the_middle_S1_is_none", []),
        ("test_int8_products", []),
        ("test_option_seed_is_kept", ["option_seed"]),
        ("test_option_split_by_value_counts", ["option_split_by_value"]),
        ("test_option_split_by_and_seed_and_what_follows", ["option_split_by", "option_seed"]),
        ("test_option_of_nobody", []),
    ],
)
def test_rows_of_a_name(name: str, rows: list[str]) -> None:
    assert rows_of_name(name, CHOICES) == rows


def test_tables_of_rows_count() -> None:
    source = """
TABLE = {"seed": 1, "silent": 2}
@pytest.mark.parametrize("option", TABLE)
def test_a(option): ...
@pytest.mark.parametrize(("row", "value"), [("S1", 2), pytest.param("S2", 3)])
def test_b(row, value): ...
@pytest.mark.parametrize("name", ["S9"])
def test_c(name): ...
"""
    found = dict(named_tests(source, CHOICES))
    assert found == {"test_a": ["option_seed", "option_silent"], "test_b": ["S1", "S2"]}


def sections(**untested: str) -> list[Section]:
    return [
        Section("Coqui", {"C1": "constructor"}, only="compat/coqui"),
        Section("All", {"C1": "format", "S1": "one"}, untested),
    ]


def test_rows_are_told_apart_by_folder(tmp_path: Path) -> None:
    for folder in ("compat/coqui", "voices"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "test_x.py").write_text("def test_C1_x() -> None: ...\n")
    page = render(sections(S1="not ours"), tmp_path)
    constructor, format_ = (line for line in page.splitlines() if line.startswith("| C1 |"))
    assert "compat/coqui/test_x.py" in constructor and "voices" not in constructor
    assert "voices/test_x.py" in format_ and "coqui" not in format_
    assert "| S1 | one | not ours |" in page
    assert NO_TEST in render(sections(), tmp_path)


@pytest.mark.parametrize(
    ("source", "untested", "message"),
    [
        ("def test_S7_x() -> None: ...", {}, "S7, which is no row"),
        ("def test_S1_x() -> None: ...", {"S1": "a reason"}, "S1 has tests .* and a reason"),
        ("", {"S2": "a reason"}, "rows that are not there"),
    ],
)
def test_what_does_not_fit_is_noticed(
    tmp_path: Path, source: str, untested: dict[str, str], message: str
) -> None:
    (tmp_path / "test_x.py").write_text(source)
    with pytest.raises(ValueError, match=message):
        render(sections(**untested), tmp_path)
