"""`openbark voices import|export|random|play|remove`: voices between programs, new ones, heard and removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from openbark.cli.choices import FILE, MODEL, VOICE
from openbark.cli.outputs import check_absent
from openbark.cli.process import share_cores
from openbark.errors import VoiceError
from openbark.params import check_seed
from openbark.progress import ProgressBar

if TYPE_CHECKING:
    from openbark.voices.library import VoiceLibrary
    from openbark.voices.voice import Voice

_RANDOM_TEXT = "Hello, this is how I sound. I hope you like my voice."
_PTH = ".pth"
_METADATA = ("language", "origin", "licence", "consent", "description")


@click.command("import")
@click.argument("source", type=FILE)
@click.option("--name", help="Name to give a single voice. [default: its own]")
@click.option("--to", "folder", type=FILE, help="Folder to import into.")
@click.option("--language", help="Kept with the voice.")
@click.option("--origin", help="Where it comes from; kept with the voice.")
@click.option("--licence", help="Kept with the voice.")
@click.option("--consent", help="Who agreed to its use, and to which; kept with the voice.")
@click.option("--description", help="Kept with the voice.")
@click.option("--force", is_flag=True, help="Replace voices that are there.")
def import_command(
    source: Path,
    name: str | None,
    folder: Path | None,
    language: str | None,
    origin: str | None,
    licence: str | None,
    consent: str | None,
    description: str | None,
    force: bool,
) -> None:
    """Make the voices of SOURCE known by name.

    SOURCE is an .npz, a .pth of Coqui's, a folder of either, a speaker_embeddings_path.json, or a folder with
    one.
    """
    from openbark.voices.library import user_folder
    from openbark.voices.voice import check_new_name

    given = (language, origin, licence, consent, description)
    notes = {key: value for key, value in zip(_METADATA, given, strict=True) if value is not None}
    found = _read_all(source)
    if name is not None and len(found) != 1:
        raise VoiceError(f"--name names one voice, {source} has {len(found)}; leave --name out")
    if name is not None:
        found = {name: next(iter(found.values()))}
    for voice_name in found:
        check_new_name(voice_name)
    target = folder or user_folder()
    places = {voice_name: _place(target, voice_name, force) for voice_name in found}
    for voice_name, voice in found.items():
        _annotated(voice, notes).save(_made(places[voice_name]))
        click.echo(f"{voice_name}  {places[voice_name]}")


@click.command("export")
@click.argument("voice", type=VOICE)
@click.option("-o", "--output", type=FILE, required=True, help="See --format.")
@click.option("--model", type=MODEL, help="Checkpoint folder. [default: the embedded model]")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["suno", "transformers", "coqui"]),
    default="suno",
    show_default=True,
    help="An .npz; a folder with speaker_embeddings_path.json; a folder of voice folders.",
)
def export_command(voice: str, output: Path, model: str | None, layout: str) -> None:
    """Write VOICE, a name or the path of an .npz, for another program."""
    from openbark.checkpoints.find import find_checkpoint
    from openbark.voices.library import library_of
    from openbark.voices.npz import ARRAY_KEYS
    from openbark.voices.triplets import write_table
    from openbark.voices.voice import check_name

    library = library_of(find_checkpoint(model))
    found = library.get(voice)
    name = voice if voice in library else found.name or Path(voice).stem
    if layout == "transformers":
        arrays = {key: getattr(found, field_name) for field_name, key in ARRAY_KEYS.items()}
        written = write_table(output, {name: arrays})
    else:
        leaf = check_name(name).rpartition("/")[2]
        written = output / leaf / f"{leaf}.npz" if layout == "coqui" else output
        found.save(_made(written) if layout == "coqui" else written)
    click.echo(str(written))


@click.command("random")
@click.argument("name", required=False)
@click.option("-o", "--output", type=FILE, help="Write the voice here (.npz).")
@click.option("--audio", type=FILE, help="Write what it said, to listen to.")
@click.option("--text", default=_RANDOM_TEXT, show_default=True, help="What it says.")
@click.option("--seed", type=click.INT, help="Same seed, same voice. [default: a random one]")
@click.option("--model", type=MODEL, help="Checkpoint folder. [default: the embedded model]")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def random_command(
    name: str | None,
    output: Path | None,
    audio: Path | None,
    text: str,
    seed: int | None,
    model: str | None,
    quiet: bool,
) -> None:
    """Let the model make up a voice: known as NAME from then on, or written to a file (-o).

    The one command of this group that loads the model.
    """
    if (name is None) == (output is None):
        raise click.UsageError("give a NAME, or -o FILE (one of them)")
    from openbark.voices.library import user_folder
    from openbark.voices.npz import check_target
    from openbark.voices.voice import check_new_name

    if name is not None:
        check_new_name(name)
    used_seed = check_seed(seed)
    target = output or _place(user_folder(), name or "", force=False)
    check_target(target if output else _made(target))
    share_cores()
    from openbark.api import Bark

    with ProgressBar(enabled=not quiet) as progress:
        clip = Bark.load(model).generate(text, None, used_seed, progress=progress)
    clip.as_voice(name or target.stem).save(target)
    if audio:
        clip.save(audio)
    click.echo(f"{target}  seed {used_seed}")


@click.command("play")
@click.argument("voice", type=VOICE)
@click.option("--text", default=_RANDOM_TEXT, show_default=True, help="What it says.")
@click.option("--seed", type=click.INT, help="Same seed, same clip. [default: a random one]")
@click.option("--model", type=MODEL, help="Checkpoint folder. [default: the embedded model]")
@click.option("-o", "--output", type=FILE, help="Write the clip to this file and play nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def play_command(
    voice: str, text: str, seed: int | None, model: str | None, output: Path | None, quiet: bool
) -> None:
    """Hear VOICE, a name or the path of an .npz, say a sentence."""
    from openbark.audio import check_output, find_player

    if output is None:
        find_player()
    else:
        check_output(output)
        check_absent(output, force=False)
    used_seed = check_seed(seed)
    share_cores()
    from openbark.api import Bark

    with ProgressBar(enabled=not quiet) as progress:
        clip = Bark.load(model).generate(text, voice, used_seed, progress=progress)
    if output is None:
        clip.play()
    else:
        clip.save(output)


@click.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=VOICE)
def remove_command(names: tuple[str, ...]) -> None:
    """Remove imported voices by name; those of a model and of other folders stay."""
    from openbark.voices.library import VoiceLibrary, user_folder

    mine = VoiceLibrary([user_folder()])
    # All are looked up before one is removed.
    paths = {name: _own_file(mine, name, user_folder()) for name in names}
    for name, path in paths.items():
        try:
            path.unlink()
        except OSError as error:
            raise VoiceError(f"cannot remove {path}: {error.strerror}") from error
        click.echo(f"{name}  removed {path}")


def _own_file(mine: VoiceLibrary, name: str, folder: Path) -> Path:
    if name in mine:
        return mine.path(name)
    own = ", ".join(mine.names) or "none yet"
    raise VoiceError(
        f"{name!r} is not an imported voice; only voices in {folder} can be removed: {own}"
    )


def read_voice_file(path: Path) -> Voice:
    """The voice in an `.npz`, or in a `.pth` of Coqui's, which runs nothing. Raises VoiceError."""
    from openbark.compat.coqui.voice_folders import read_pth
    from openbark.voices.voice import Voice

    return read_pth(path) if path.suffix.lower() == _PTH else Voice.load(path)


def _read_all(source: Path) -> dict[str, Voice]:
    """Every voice of a file, a folder or a table, by name."""
    from openbark.voices.library import VoiceLibrary
    from openbark.voices.triplets import TABLE_FILE

    if source.is_dir():
        library = VoiceLibrary([source], [source / TABLE_FILE])
    elif source.suffix.lower() == ".json":
        if not source.is_file():
            raise VoiceError(f"no voice table at {source}")
        library = VoiceLibrary(tables=[source])
    else:
        return {source.stem: read_voice_file(source)}
    found = {path.stem: read_voice_file(path) for path in sorted(source.glob(f"*{_PTH}"))}
    found |= {name: library.get(name) for name in library}
    if not found:
        raise VoiceError(f"{source} holds no voices (.npz or .pth files, or a {TABLE_FILE})")
    return found


def _annotated(voice: Voice, notes: dict[str, str]) -> Voice:
    from openbark.voices.voice import Voice

    metadata = {**voice.metadata, **notes}
    return Voice(voice.semantic, voice.coarse, voice.fine, voice.name, metadata)


def _place(folder: Path, name: str, force: bool) -> Path:
    from openbark.voices.voice import check_name

    path = folder / f"{check_name(name)}.npz"
    if path.exists() and not force:
        raise VoiceError(
            f"{path} is there already; choose another name, or replace it with --force"
        )
    return path


def _made(path: Path) -> Path:
    """`path`, its folder made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VoiceError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    return path
