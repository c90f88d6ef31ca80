"""Write docs/cli.md from the commands' own --help, or check that it is up to date.

python scripts/cli_docs.py            # write
python scripts/cli_docs.py --check    # exit 1 and show the difference when stale
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cli.md"
WIDTH = 100
HEADER = """# The command line

Written by `make docs` from `openbark --help`; do not edit by hand.
"""


def root_command() -> click.Command:
    """The click group behind the `openbark` program."""
    sys.path.insert(0, str(ROOT))  # this tree's commands, installed or not
    from openbark.cli.main import cli

    return cli


def help_texts(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Every command below `command`, itself first: (full name, help text)."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = command.context_class(command, info_name=name, parent=parent, **settings)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            if child is not None and not child.hidden:
                yield from help_texts(child, child_name, context)


def render(command: click.Command) -> str:
    """The whole page."""
    sections = [HEADER]
    for path, text in help_texts(command, "openbark"):
        level = "#" * min(2 + path.count(" "), 4)
        body = "\n".join(line.rstrip() for line in text.splitlines())
        sections.append(f"{level} {path}\n\n```\n{body}\n```\n")
    return "\n".join(sections)


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="do not write, exit 1 when stale")
    arguments = parser.parse_args()
    fresh = render(root_command())
    if not arguments.check:
        PAGE.write_text(fresh, encoding="utf-8")
        return 0
    stored = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if stored == fresh:
        return 0
    difference = difflib.unified_diff(
        stored.splitlines(), fresh.splitlines(), "docs/cli.md", "--help", lineterm=""
    )
    print("\n".join(difference))
    print("docs/cli.md is stale; run `make docs`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
