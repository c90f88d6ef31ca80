"""The public surface as text: the server's schema, the command line's options, the names of every package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from architecture_rules import ROOT, declared_names, read_package
from golden_records import as_json, check_text

from openbark.api import Bark
from openbark.cli.main import cli


def test_openapi_document(tiny_checkpoint_dir: Path) -> None:
    pytest.importorskip("fastapi", reason="needs the extra [server]")
    from openbark.server.app import create_app
    from openbark.server.settings import load_settings
    from openbark.server.speakers.bark_speaker import BarkSpeaker

    speaker = BarkSpeaker(Bark.load(tiny_checkpoint_dir, threads=1))
    try:
        document = create_app(speaker, load_settings(None, {})).openapi()
    finally:
        speaker.close()
    document["info"]["version"] = "that of the package"
    check_text("openapi.json", as_json(document))


def _commands(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    settings = command.context_settings
    context = command.context_class(command, info_name=name, parent=parent, **settings)
    yield context.command_path
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            spellings = ", ".join([*parameter.opts, *parameter.secondary_opts])
            yield f"    {spellings}: {_kind(parameter)}"
        elif isinstance(parameter, click.Argument):
            yield f"    {parameter.make_metavar(context)}: {_kind(parameter)}"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from _commands(found, child, context)


def _kind(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return "flag"
    kind = parameter.type
    legal = f" {', '.join(map(str, kind.choices))}" if isinstance(kind, click.Choice) else ""
    many = " (several)" if parameter.multiple or parameter.nargs != 1 else ""
    return f"{kind.name}{legal}{many}"


def test_command_line() -> None:
    check_text("command_line.txt", "\n".join(_commands(cli, "openbark", None)) + "\n")


def test_names_of_every_package() -> None:
    modules = [*read_package(), *read_package(ROOT / "src" / "bark")]
    names = {
        module.name: sorted(declared_names(module) or []) for module in modules if module.is_package
    }
    assert {"openbark", "openbark.audio", "bark"} <= set(names)
    check_text("names.json", as_json(names))
