"""`openbark voices`: what voices a model has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from openbark.errors import VoiceError

if TYPE_CHECKING:
    from openbark.config import BarkConfig
    from openbark.voices.library import VoiceLibrary
    from openbark.voices.voice import Voice

__all__ = ["voices"]


@click.group()
def voices() -> None:
    """List and inspect the voices of a model."""


@voices.command("list")
@click.option("--model", help="Checkpoint folder. [default: the embedded model]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def _list(model: str | None, as_json: bool) -> None:
    """List the voices of a model."""
    library, config = _library(model)
    entries = [_entry(library, name, config) for name in library]
    if as_json:
        click.echo(json.dumps(entries, ensure_ascii=False))
        return
    if not entries:
        click.echo(f"{config.name} has no named voices", err=True)
    width = max((len(entry["name"]) for entry in entries), default=0)
    for entry in entries:
        about = entry.get("error") or _about(entry)
        click.echo(f"{entry['name']:<{width}}  {about}")


@voices.command("show")
@click.argument("voice")
@click.option("--model", help="Checkpoint folder. [default: the embedded model]")
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
        click.echo(f"{name:<16} {value}")


def _library(model: str | None) -> tuple[VoiceLibrary, BarkConfig]:
    from openbark.api import VOICES_FOLDER, find_checkpoint
    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.voices.library import VoiceLibrary

    folder = find_checkpoint(model)
    config = open_checkpoint(folder, need_tokenizer=False).config
    return VoiceLibrary([folder / VOICES_FOLDER]), config


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
    words += [
        str(entry[key]) for key in ("metadata.language", "metadata.description") if key in entry
    ]
    return ", ".join(words)
