"""README and docs agree with the tree: links, commands, make targets, the map, the version."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
TABLE_COMMAND = re.compile(r"`((?:make|openbark|python) [^`]+)`")
PLACEHOLDER = "TO-" + "MEASURE"


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for kind, body in FENCE.findall(text) if kind == language]


def commands(page: Path) -> list[list[str]]:
    """The shell commands of a page's blocks, and of its tables, split into words."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    tables = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    lines += [span for line in tables for span in TABLE_COMMAND.findall(line)]
    return [words for line in lines if (words := shlex.split(line.rstrip(" &"), comments=True))]


def anchors(page: Path) -> set[str]:
    """Link targets of the headings, spelled as GitHub does."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    return broken


def command_error(words: list[str]) -> str | None:
    """What is wrong with one documented command, or None. `openbark` commands are parsed, not run."""
    program, *arguments = words
    if program == "make":
        text = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = [word for word in arguments if "=" not in word]
        missing = [name for name in targets if not re.search(rf"^{name}:", text, re.MULTILINE)]
        return f"no make target {missing}" if missing else None
    if program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = re.findall(r"\[([\w,]+)\]", " ".join(arguments))
        named = {extra for group in extras for extra in group.split(",")}
        unknown = named - set(project["optional-dependencies"])
        return f"no extra {sorted(unknown)}" if unknown else None
    if program == "openbark":
        return openbark_error(arguments)
    if program == ".":
        return None if arguments[0].endswith("/bin/activate") else f"{arguments[0]}: what is this?"
    if program in {"python", "python3", "torchrun"}:
        if "-m" in arguments:
            module = arguments[arguments.index("-m") + 1]
            return None if importlib.util.find_spec(module) else f"no module {module}"
        script = next((word for word in arguments if word.endswith(".py")), None)
        return None if script is None or (ROOT / script).is_file() else f"no file {script}"
    return f"{program}: not a command these tests know"


def openbark_error(arguments: list[str]) -> str | None:
    from openbark.cli.choices import FilePath
    from openbark.cli.main import cli

    command: click.Command = cli
    context: click.Context | None = None
    name: str | None = "openbark"
    try:
        while True:
            if isinstance(command, click.Group):
                context = command.make_context(name, list(arguments), parent=context)
                rest = [*context._protected_args, *context.args]
                name, found, arguments = command.resolve_command(context, rest)
                if found is None:
                    return f"no command {rest}"
                command = found
            else:
                command.make_context(name, list(arguments), parent=context)
                return None
    except click.BadParameter as error:
        a_file_of_yours = error.param is not None and isinstance(
            error.param.type, (click.Path, FilePath)
        )
        return None if a_file_of_yours else error.format_message()
    except click.ClickException as error:
        return error.format_message()


def test_pages_are_found() -> None:
    assert {page.name for page in PAGES} >= {"README.md", "CHANGELOG.md", "LOG.md", "cli.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    assert broken_links(page) == []


def test_broken_links_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](gone.md) [b](#one-two) [c](#three) [d](https://example.org)\n")
    assert broken_links(page) == ["gone.md", "#three"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_exist(page: Path) -> None:
    errors = {" ".join(words): command_error(words) for words in commands(page)}
    assert {line: error for line, error in errors.items() if error} == {}


def test_readme_names_the_two_commands() -> None:
    assert ["make", "demo"] in commands(README)
    assert ["make", "test"] in commands(README)


@pytest.mark.parametrize(
    "line",
    [
        "make teleport",
        "pip install '.[wings]'",
        "openbark say hello --no-such-option",
        "openbark voices juggle",
        "python benchmarks/gone.py",
        "python -m benchmarks.gone",
        "curl example.org",
    ],
)
def test_wrong_commands_are_noticed(line: str) -> None:
    assert command_error(shlex.split(line))


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = set(LINK.findall(index))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= linked


def test_map_names_every_room() -> None:
    listing = next(body for body in blocks(README, "") if "src/openbark/api.py" in body)
    named = {line.split()[0] for line in listing.splitlines()}
    assert [path for path in named if not (ROOT / path).exists()] == []
    rooms = {
        f"src/openbark/{path.name}{'/' * path.is_dir()}"
        for path in (ROOT / "src" / "openbark").iterdir()
        if not path.name.startswith(("_", ".", "py.typed"))
    }
    assert rooms <= named


def test_changelog_is_about_this_version() -> None:
    import openbark

    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[([^\]]+)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert newest is not None
    assert newest[1] == openbark.__version__


def test_no_number_is_left_to_measure() -> None:
    pages = [page.name for page in PAGES if PLACEHOLDER in page.read_text(encoding="utf-8")]
    assert pages == []


def test_cli_page_is_what_help_says() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/cli_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "name",
    ["README.md", "docs/engine.md", "docs/long-form.md", "docs/python-api.md", "docs/streaming.md"],
)
def test_python_blocks_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from openbark.assets import has_embedded

    if not has_embedded():
        pytest.skip("the embedded model is not in this tree")
    source = "\n".join(blocks(ROOT / name, "python"))
    monkeypatch.chdir(tmp_path)
    exec(compile(source, name, "exec"), {"__name__": "documentation"})
    if "hello.wav" in source:
        assert (tmp_path / "hello.wav").stat().st_size > 1000
