"""Where a command's audio goes, decided and checked before any work: never over a file that is there, unless
told to."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openbark.cli.inputs import Source
from openbark.cli.process import audio_file_of_stdout, is_pipe
from openbark.errors import AudioError
from openbark.files import expanded

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.result import Clip

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

    stdout that was redirected to an audio file is that file. A text goes to `output`, or to speech.wav, speech-2.wav, ... of this folder; a file goes to a file of its name
    in the folder `output`, or in this one. Raises UsageError or AudioError where that cannot be, two would be one
    file, or one is there and `force` is not given.
    """
    from openbark.audio.formats import SUFFIXES, output_format

    redirected = audio_file_of_stdout() if output is None and len(sources) == 1 else None
    if redirected is not None and redirected.suffix.lower() in SUFFIXES:
        # `openbark Hello > hello.wav`: the file is the one that is meant.
        return [Output(None, output_format(redirected, format))]
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
    if not force and os.path.isfile(path):  # noqa: PTH113 - also False for names no system takes
        raise AudioError(f"{path} is there already; give another name, or --force to replace it")


def timings_file(target: str, output: Output, n_outputs: int) -> tuple[Path, str]:
    """File and format of the timings: a format's name means a file beside the audio.

    Raises UsageError for an unknown suffix, one file for several texts, or audio that goes to stdout.
    """
    from openbark.audio import check_output
    from openbark.text.timings import TIMING_FORMATS

    allowed = ", ".join(TIMING_FORMATS)
    if target in TIMING_FORMATS:
        if output.path is None:
            raise click.UsageError(f"--timings {target} lies beside the audio; give it a file name")
        return output.path.with_suffix(f".{target}"), target
    path = expanded(target)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in TIMING_FORMATS:
        raise click.UsageError(
            f"--timings {target}: give a FILE that ends in one of {allowed}, or one of these alone"
        )
    if n_outputs > 1:
        raise click.UsageError(
            f"--timings {target} is one file for {n_outputs} texts; say --timings {kind}"
        )
    check_output(path, "pcm")
    return path, kind


def _stdout(format: str | None) -> Output:
    from openbark.audio import output_format

    if sys.stdout is None or sys.stdout.closed:
        raise click.UsageError("stdout is closed; give the audio a file with -o")
    if sys.stdout.isatty():
        raise click.UsageError("this writes audio to the terminal; redirect it, or give a file")
    return Output(None, output_format(Path(), format or "wav"))


def _output(
    source: Source, n_sources: int, output: str | None, format: str | None, force: bool
) -> Output:
    from openbark.audio import check_output, output_format
    from openbark.audio.formats import SUFFIXES

    folder = expanded(output) if output is not None else Path()
    is_folder = output is None or _is_folder(folder) or output.endswith(("/", os.sep))
    if not is_folder and n_sources == 1:
        return Output(folder, check_output(folder, format))
    if not is_folder and folder.suffix.lower() in SUFFIXES:
        raise AudioError(f"{output} is one file for {n_sources} texts; give a folder, such as out/")
    _make_folder(folder)
    suffix = "wav" if format in (None, "f32") else output_format(Path(), format)
    if source.path is not None:
        path = folder / f"{source.path.stem}.{suffix}"
    else:
        path = _free(folder, suffix, force)
    return Output(path, check_output(path, format))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(
            f"cannot make the folder {folder}: {reason}; give another with -o"
        ) from error


def _free(folder: Path, suffix: str, force: bool) -> Path:
    path, number = folder / f"{_DEFAULT_STEM}.{suffix}", 2
    while path.exists() and not force:
        path, number = folder / f"{_DEFAULT_STEM}-{number}.{suffix}", number + 1
    return path


def summary(clip: Clip, target: Output, voice_file: Path | None, has_json: bool) -> str:
    """Lines for stderr, the file first. has_json: stdout is in use, so that nothing is said of it."""
    lines = [
        f"file {target.name if target.path else 'stdout'}: {clip.seconds:.2f} s of audio",
        f"seed {clip.seed}, {voice_words(clip.voice)}, model {clip.config.name}, "
        f"stopped by {clip.stop_reason}",
        f"made in {clip.wall_seconds:.2f} s (real-time factor {clip.real_time_factor:.2f})",
    ]
    if len(clip.segments) > 1:
        again = sum(segment.n_attempts > 1 for segment in clip.segments)
        lines.insert(2, f"{len(clip.segments)} pieces, {again} of them made more than once")
    if clip.n_clipped and target.format != "f32":
        lines.append(
            f"{clip.n_clipped} samples were too loud and clipped; --loudness -16 avoids that"
        )
    if voice_file:
        lines.append(f"voice file {voice_file}")
    if target.path and is_pipe(sys.stdout) and not has_json:
        lines.append("the audio is in the file, not in the pipe; -o - writes it there")
    return "\n".join(lines)


def report(clip: Clip, bark: Bark, target: Output, load_seconds: float) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "file": target.name,
        "format": target.format,
        **clip.to_dict(),
        "load_seconds": round(load_seconds, 4),
        "backend": bark.backend.description,
    }


def voice_words(voice: str | None) -> str:
    """A voice's name in a summary."""
    return f"voice {voice}" if voice else "a voice of the model's own choice"
