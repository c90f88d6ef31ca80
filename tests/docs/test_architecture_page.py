"""docs/architecture.md: the diagram is that of the imports, and every path it names exists."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from architecture_rules import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:src|recipes|tests|docs|scripts|benchmarks)/[^`]*)`", PAGE)))
TRIPS = re.findall(r"^### (.*?)\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE)
MOST_FILES = 20


def test_the_diagram_is_that_of_the_imports() -> None:
    command = [sys.executable, "scripts/architecture_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", PATHS)
def test_every_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_there_are_five_trips() -> None:
    assert len(TRIPS) == 5


@pytest.mark.parametrize(("title", "steps"), TRIPS, ids=[title for title, _ in TRIPS])
def test_a_trip_is_a_short_list_of_files(title: str, steps: str) -> None:
    files = re.findall(r"`src/[^`]*\.(?:py|h)`", steps)
    assert 5 <= len(files) <= MOST_FILES, title
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", steps, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
