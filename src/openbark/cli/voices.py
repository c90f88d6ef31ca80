"""`openbark voices`: what voices a model has, and whether a file is one. Loads no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openbark.cli.choices import FILE, MODEL, VOICE
from openbark.cli.groups import SuggestingGroup, printable
from openbark.cli.voice_files import (
    export_command,
    import_command,
    play_command,
    random_command,
    read_voice_file,
    remove_command,
)
from openbark.errors import VoiceError

if TYPE_CHECKING:
    from openbark.config import BarkConfig
    from openbark.voices.library import VoiceLibrary
    from openbark.voices.voice import Voice

_SHOWN = ("language", "description", "origin", "licence")
_ABOUT = (
    'A voice is a few seconds of speech that a clip continues from: openbark "Hello." --voice NAME. '
    "Hear one: openbark voices play NAME."
)
_MODEL_HELP = "Checkpoint folder. [default: the embedded model]"


@click.group(cls=SuggestingGroup)
def voices() -> None:
    """List, hear, check, make, exchange and remove voices.

    Named voices are those of the model, of the folders in OPENBARK_VOICES, and the imported ones.
    """


@voices.command("list")
@click.option("--model", type=MODEL, help=_MODEL_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def _list(model: str | None, as_json: bool) -> None:
    """List the voices that a model can be given by name: length, language, what the file says of itself."""
    library, config = _library(model)
    entries = [_entry(library, name, config) for name in library]
    if as_json:
        click.echo(json.dumps(entries, ensure_ascii=False))
        return
    if not entries:
        click.echo(f"{config.name} has no named voices", err=True)
    else:
        click.echo(_ABOUT, err=True)
    width = max((len(entry["name"]) for entry in entries), default=0)
    for entry in entries:
        about = entry.get("error") or _about(entry)
        click.echo(printable(f"{entry['name']:<{width}}  {about}").replace("\n", " "))


@voices.command("show")
@click.argument("voice", type=VOICE)
@click.option("--model", type=MODEL, help=_MODEL_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def _show(voice: str, model: str | None, as_json: bool) -> None:
    """Show one voice, by name or as the path of an .npz, checked against the model."""
    library, config = _library(model)
    found = library.get(voice)
    found.validate(config)
    details = _details(found, config) | {
        "file": str(library.path(voice) if voice in library else voice)
    }
    if as_json:
        click.echo(json.dumps(details, ensure_ascii=False))
        return
    for name, value in details.items():
        click.echo(printable(f"{name:<16} {value}"))


@voices.command("validate")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--model", type=MODEL, help=_MODEL_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def _validate(
    ctx: click.Context, files: tuple[Path, ...], model: str | None, as_json: bool
) -> None:
    """Say of each of FILES (.npz, .pth) whether the model can speak with it. Exit code 2 if one cannot."""
    _, config = _library(model)
    findings = {str(path): _problem(path, config) for path in files}
    if as_json:
        report = [{"file": file, "error": problem} for file, problem in findings.items()]
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for file, problem in findings.items():
            click.echo(printable(problem) if problem else f"{file}: a voice for {config.name}")
    if any(findings.values()):
        ctx.exit(VoiceError.exit_code)


def _problem(path: Path, config: BarkConfig) -> str | None:
    try:
        read_voice_file(path).validate(config)
    except VoiceError as error:
        text = str(error)
        return text if str(path) in text else f"{path}: {text}"
    return None


def _library(model: str | None) -> tuple[VoiceLibrary, BarkConfig]:
    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.checkpoints.find import find_checkpoint
    from openbark.voices.library import library_of

    folder = find_checkpoint(model)
    config = open_checkpoint(folder, need_tokenizer=False).config
    return library_of(folder), config


def _entry(library: VoiceLibrary, name: str, config: BarkConfig) -> dict[str, Any]:
    try:
        voice = library.get(name)
        voice.validate(config)
    except VoiceError as error:
        return {"name": name, "error": str(error)}
    return _details(voice, config)


def _details(voice: Voice, config: BarkConfig) -> dict[str, Any]:
    return {
        "name": voice.name,
        "seconds": round(voice.seconds(config), 2),
        "semantic_tokens": len(voice.semantic),
        "frames": voice.n_frames,
        "codebooks": len(voice.fine),
        **{f"metadata.{key}": value for key, value in voice.metadata.items()},
    }


def _about(entry: dict[str, Any]) -> str:
    words = [f"{entry['seconds']:.1f} s"]
    words += [str(entry[f"metadata.{key}"]) for key in _SHOWN if f"metadata.{key}" in entry]
    return ", ".join(words)


voices.add_command(play_command)
voices.add_command(import_command)
voices.add_command(export_command)
voices.add_command(random_command)
voices.add_command(remove_command)
