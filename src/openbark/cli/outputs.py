"""Where a command's audio goes, decided and checked before any work: never over a file that is there, unless
told to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from openbark.cli.inputs import Source
from openbark.errors import AudioError

__all__ = ["STDOUT", "Output", "check_absent", "plan_outputs", "timings_file"]

STDOUT = "-"
_DEFAULT_STEM = "speech"


@dataclass(frozen=True)
class Output:
    """Where the audio goes: a file, or stdout for None; and its format."""

    path: Path | None
    format: str

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.path) if self.path else STDOUT


def plan_outputs(
    sources: Sequence[Source], output: str | None, format: str | None, force: bool
) -> list[Output]:
    """One output for each source.

    A text goes to `output`, or to speech.wav, speech-2.wav, ... of this folder; a file goes to a file of its name
    in the folder `output`, or in this one. Raises UsageError or AudioError where that cannot be, two would be one
    file, or one is there and `force` is not given.
    """
    if output == STDOUT:
        if len(sources) > 1:
            raise click.UsageError("-o - takes one text; give a folder to several")
        return [_stdout(format)]
    outputs = [_output(source, len(sources), output, format, force) for source in sources]
    taken: dict[Path, Source] = {}
    for source, found in zip(sources, outputs, strict=True):
        if found.path is None:
            continue
        if found.path in taken:
            raise click.UsageError(
                f"{taken[found.path].name} and {source.name} would both become {found.path}; speak them apart"
            )
        taken[found.path] = source
        check_absent(found.path, force)
    return outputs


def check_absent(path: Path, force: bool) -> None:
    """Raise AudioError for a file that is there, unless `force`; devices and pipes hold nothing to lose."""
    if not force and path.is_file():
        raise AudioError(f"{path} is there already; give another name, or --force to replace it")


def timings_file(target: str, output: Output, n_outputs: int) -> tuple[Path, str]:
    """File and format of the timings: a format's name means a file beside the audio.

    Raises UsageError for an unknown suffix, one file for several texts, or audio that goes to stdout.
    """
    from openbark.audio import check_output
    from openbark.text.timings import TIMING_FORMATS

    legal = ", ".join(TIMING_FORMATS)
    if target in TIMING_FORMATS:
        if output.path is None:
            raise click.UsageError(f"--timings {target} lies beside the audio; give it a file name")
        return output.path.with_suffix(f".{target}"), target
    path = Path(target)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in TIMING_FORMATS:
        raise click.UsageError(
            f"--timings {target}: give a FILE that ends in one of {legal}, or one of these alone"
        )
    if n_outputs > 1:
        raise click.UsageError(
            f"--timings {target} is one file for {n_outputs} texts; say --timings {kind}"
        )
    check_output(path, "pcm")
    return path, kind


def _stdout(format: str | None) -> Output:
    from openbark.audio import output_format

    if sys.stdout.isatty():
        raise click.UsageError("this writes audio to the terminal; redirect it, or give a file")
    return Output(None, output_format(Path(), format or "wav"))


def _output(
    source: Source, n_sources: int, output: str | None, format: str | None, force: bool
) -> Output:
    from openbark.audio import check_output, output_format

    folder = Path(output) if output is not None else Path()
    is_folder = folder.is_dir() or (output is not None and output.endswith("/"))
    if output is not None and not is_folder and n_sources == 1:
        return Output(folder, check_output(folder, format))
    if output is not None and not folder.is_dir():
        raise AudioError(f"{output} is no folder; {n_sources} texts need one that is there")
    suffix = "wav" if format in (None, "f32") else output_format(Path(), format)
    if source.path is not None:
        path = folder / f"{source.path.stem}.{suffix}"
    else:
        path = _free(folder, suffix, force)
    return Output(path, check_output(path, format))


def _free(folder: Path, suffix: str, force: bool) -> Path:
    path, number = folder / f"{_DEFAULT_STEM}.{suffix}", 2
    while path.exists() and not force:
        path, number = folder / f"{_DEFAULT_STEM}-{number}.{suffix}", number + 1
    return path
