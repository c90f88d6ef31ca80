"""`openbark detect`: what a recording says of where it comes from. Loads no model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from openbark.cli.choices import FILE
from openbark.cli.groups import printable

_GENERATOR = "openbark "


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--speeds", is_flag=True, help="Also search recordings that play up to 3 % faster or slower."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def detect(file: Path, speeds: bool, as_json: bool) -> None:
    """Look in FILE for what OpenBark writes into its audio: a recipe in the tags, and the watermark.

    The key is that of OPENBARK_WATERMARK_KEY, else the public one. Audio without either may still be generated:
    tags are lost in a conversion, and a watermark can be left out or removed.
    """
    from openbark.audio import read_audio, read_tags
    from openbark.watermark import detect_watermark

    generator = _generator(read_tags(file).get("comment", ""))
    found = detect_watermark(*read_audio(file), speeds=speeds)
    if as_json:
        click.echo(
            json.dumps({"file": str(file), "generator": generator, "watermark": asdict(found)})
        )
        return
    click.echo(printable(f"tags: {f'a recipe of {generator}' if generator else 'no recipe'}"))
    click.echo(f"watermark: {_words(asdict(found))}")


def _generator(comment: str) -> str | None:
    """The program that wrote the recipe in a comment, where it is one of ours."""
    try:
        content = json.loads(comment) if comment else None
    except (ValueError, RecursionError):
        return None
    name = content.get("generator") if isinstance(content, dict) else None
    return name if isinstance(name, str) and name.startswith(_GENERATOR) else None


def _words(found: dict[str, Any]) -> str:
    if found["state"] == "too short":
        return f"too short to tell: {found['end']:.2f} s, at least 2 s are needed"
    line = f"{found['state']} (score {found['score']:.1f}; present from 7, uncertain from 5.5)"
    if found["state"] == "absent":
        return line
    line += f", {found['start']:.1f} to {found['end']:.1f} s, speed {found['speed']:.3f}"
    payload = found["payload"]
    if payload is None:
        return f"{line}, payload unreadable"
    return f"{line}, model {payload['model']:03x}, seed hash {payload['seed']:04x}"
