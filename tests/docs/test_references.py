"""What comments and docstrings refer to exists: rows of docs/parity.md, and documents of this repository."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = "docs/parity.md"
ROWS = set(
    re.findall(r"^\| ([A-Z]\d+) \|", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
)
ID = re.compile(r"(?<![\w.])([A-Z]\d{1,2})(?![\w])")
# Names that look like rows: types of tensors and samples, a norm, the pitch of a voice.
TYPES = {"F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "C64", "L1", "L2", "F0"}
DOCUMENT = re.compile(r"[\w./-]+\.md\b")
SECTION = re.compile(r"\b(?:ecosystem|parity) \d[\d.]*")


def remarks(path: Path) -> str:
    """Comments and docstrings of a source."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return "\n".join(re.findall(r"//.*|/\*.*?\*/", source, re.DOTALL))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [each.string for each in tokens if each.type == tokenize.COMMENT]
    texts = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return "\n".join([*comments, *texts])


def undefined(text: str) -> Iterator[str]:
    """References of a text that no reader can follow."""
    ids = set(ID.findall(text)) - TYPES
    yield from sorted(f"{each} is not a row of {PAGE}" for each in ids - ROWS)
    if ids & ROWS and PAGE not in text:
        yield f"{', '.join(sorted(ids & ROWS))}: say once that the rows are those of {PAGE}"
    # A file in a command that is shown is the user's.
    shown = re.sub(r"^ *openbark .*$", "", text, flags=re.MULTILINE)
    for name in sorted(set(DOCUMENT.findall(shown))):
        if not any((ROOT / folder / name).is_file() for folder in ("", "docs")):
            yield f"{name} is not a document of this repository"
    for section in SECTION.findall(text):
        yield f"{section!r} is a section of a document that is not here"


def sources(*tops: str) -> list[Path]:
    kinds = ("*.py", "*.cpp", "*.h", "*.inc", "*.js")
    return sorted(path for top in tops for kind in kinds for path in (ROOT / top).rglob(kind))


def test_what_the_package_refers_to_exists() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {problem}"
        for path in sources("src", "recipes", "scripts", "benchmarks")
        for problem in undefined(remarks(path))
    ]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_documents_that_tests_refer_to_exist() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {problem}"
        for path in sources("tests")
        if path.name != Path(__file__).name
        for problem in undefined(remarks(path))
        if "document" in problem
    ]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize(
    "text",
    [
        "A deadline (R6).",
        "Suno's defaults (S3).",
        f"Rows of {PAGE}: S3 and S99.",
        "As measured (speed.md).",
        "The whole (parity 0).",
    ],
)
def test_the_rule_is_not_blind(text: str) -> None:
    assert list(undefined(text))


@pytest.mark.parametrize(
    "text", [f"Suno's defaults ({PAGE} S3).", "float32 (F32).", "See docs/engine.md.", "An H200."]
)
def test_what_can_be_followed_passes(text: str) -> None:
    assert not list(undefined(text))
