"""`openbark text`: what will be spoken of a text, piece by piece, with pauses and what has no sound. Makes no audio."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from openbark.cli.inputs import Source, open_reader, plan_without_voices, read_sources
from openbark.cli.speech_options import given_speech, speech_options

if TYPE_CHECKING:
    from openbark.speech.plan import PlanReport


@click.command()
@click.argument("texts", metavar="[TEXT]", nargs=-1)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="Read the text from a file, or from files: 'notes/*.md'.",
)
@click.option("--model", help="Checkpoint folder. [default: the embedded model]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a text.")
@speech_options
@click.pass_context
def text(
    ctx: click.Context,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    model: str | None,
    as_json: bool,
) -> None:
    """Show what `say` will speak of TEXT (- reads it from stdin), or of files: the pieces with their pauses in seconds,
    the language, and what is left out and why.

    \b
    openbark text "Dr. Smith paid $5 on 3/4."
    openbark text --file notes.md --json
    """
    sources = read_sources(texts, files)
    options = given_speech(ctx)
    reader = open_reader(model)
    for source in sources:
        report = plan_without_voices(reader, source, options).report()
        click.echo(_as_json(source, report) if as_json else _as_lines(source, report, len(sources)))


def _as_json(source: Source, report: PlanReport) -> str:
    named = {"file": str(source.path)} if source.path else {}
    return json.dumps({**named, **report.to_dict()}, ensure_ascii=False)


def _as_lines(source: Source, report: PlanReport, n_sources: int) -> str:
    from openbark.text.left_out import notice_of

    lines = [f"{source.name}:"] if n_sources > 1 else []
    if report.lead:
        lines.append(f"     (silence of {report.lead:.2f} s)")
    for number, piece in enumerate(report.pieces, start=1):
        at = f"at {piece.starts_at:.2f} s, " if piece.starts_at is not None else ""
        who = f"{piece.voice}: " if piece.voice else ""
        pause = f", then a pause of {piece.pause:.2f} s" if piece.pause else ""
        lines.append(f"{number:4} {who}{piece.spoken}")
        lines.append(f"     ({at}about {piece.seconds:.1f} s{pause})")
    lines.append(
        f"{len(report.pieces)} piece{'' if len(report.pieces) == 1 else 's'}, about {report.seconds:.1f} s in all, "
        f"language {report.language}, read as {report.format}"
    )
    notice = notice_of(report.left_out)
    if notice:
        lines.append(notice)
    return "\n".join(lines)
