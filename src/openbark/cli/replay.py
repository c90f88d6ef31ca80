"""`openbark replay`: makes the audio of a file again, from what the file says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import click

from openbark.cli.choices import FILE, MODEL, VOICE
from openbark.cli.groups import printable
from openbark.cli.outputs import check_absent
from openbark.cli.process import share_cores
from openbark.progress import ProgressBar

_MARK = ".replay"
_SIDECAR = ".json"
_RAW = (".pcm", ".raw")


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="[default: FILE's name with .replay in it]",
)
@click.option(
    "--model", type=MODEL, help="Checkpoint folder, for a model that is not embedded or on the hub."
)
@click.option("--voice", type=VOICE, help="Path of the voice, if it is not known by its name here.")
@click.option("--threads", type=click.INT, help="CPU threads. [default: all cores]")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 1 unless the file would be the same."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option(
    "--yes",
    is_flag=True,
    help="Do as FILE says where it names a model to fetch from the hub, or its text is very long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no messages.")
@click.pass_context
def replay(
    ctx: click.Context,
    file: Path,
    output: Path | None,
    model: str | None,
    voice: str | None,
    threads: int | None,
    check: bool,
    force: bool,
    yes: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make the audio in FILE again: audio that `openbark say` wrote, or the JSON beside it.

    On the same model the same bytes, for wav, f32, flac and pcm. Another model, or another way to compute it,
    is told. Nothing in FILE is trusted: a path in it is not followed, and a model is not fetched without --yes.
    """
    from openbark.audio import LOSSLESS, check_output
    from openbark.replay import load_model, make_again, model_difference, read_recipe

    recipe = read_recipe(file)
    audio, format = _described(file)
    target = output or audio.with_name(f"{audio.stem}{_MARK}{audio.suffix}")
    if not check:
        check_output(target, format)
        check_absent(target, force)

    share_cores()
    with ProgressBar(enabled=not quiet) as progress:
        bark = load_model(recipe, model, threads, yes)
        difference = model_difference(recipe, bark)
        clip = make_again(recipe, bark, voice, progress, yes)
    if not check:
        clip.save(target, format)
    comparable = format in LOSSLESS and audio.is_file()
    same = clip.to_bytes(format) == audio.read_bytes() if comparable else None
    report = {
        "file": str(file),
        "output": None if check else str(target),
        "same_bytes": same,
        "difference": difference,
        "seconds": round(clip.seconds, 4),
        "seed": clip.seed,
        "model": clip.config.name,
    }
    if difference and not quiet:
        click.echo(printable(f"warning: {difference}"), err=True)
    if not quiet:
        click.echo(printable(_told(audio, None if check else target, same)), err=True)
    if as_json:
        click.echo(json.dumps(report))
    if check and not same:
        ctx.exit(1)


def _described(file: Path) -> tuple[Path, str]:
    """The audio that a file is or lies beside, and its format."""
    from openbark.audio import output_format, stored_format

    if file.suffix.lower() != _SIDECAR:
        return file, stored_format(file)
    audio = file.with_suffix("")
    if audio.is_file() and audio.suffix.lower() not in _RAW:
        return audio, stored_format(audio)
    return audio, output_format(audio)


def _told(audio: Path, target: Path | None, same: bool | None) -> str:
    verdict = {
        True: f"the same bytes as {audio}",
        False: f"other bytes than {audio}",
        None: f"{audio} is not there, or of a format whose bytes say little",
    }[same]
    return verdict if target is None else f"{target}: {verdict}"
