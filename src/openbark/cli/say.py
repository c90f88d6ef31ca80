"""`openbark say`: texts to audio files, or to a player as they are made. Also what `openbark "text"` runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import click

from openbark.cli.choices import AUDIO_FILE, BACKEND, DTYPE, FILE, FORMAT, LATENCY, MODEL, VOICE
from openbark.cli.cores import share_cores
from openbark.cli.groups import printable
from openbark.cli.inputs import Source, read_sources
from openbark.cli.live import (
    Outlet,
    check_flags,
    check_latency,
    pipe,
    play_live,
    plays_live,
)
from openbark.cli.outputs import STDOUT, Output, check_absent, plan_outputs, timings_file
from openbark.cli.reading import input_format_of, plan_without_voices, script_of, text_asked
from openbark.cli.sampling import SAMPLING_OPTIONS, given_params, sampling_options
from openbark.cli.sections import SectionedCommand
from openbark.cli.speech_options import (
    Asked,
    given_edits,
    given_long_form,
    given_reading,
    given_script,
    speech_options,
)
from openbark.cli.summary import report, summary
from openbark.errors import TextError
from openbark.params import GenerationParams, check_seed
from openbark.progress import ProgressBar

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.audio import Waveform
    from openbark.result import Clip

__all__ = ["say"]


@dataclass(frozen=True)
class _Extras:
    """What is done beside the audio, and told of it."""

    save_voice: Path | None
    timings: str | None
    words: bool
    sidecar: bool
    play: bool
    as_json: bool
    quiet: bool


class _SayCommand(SectionedCommand):
    """The options of `say` under headings; `--stream -` is `--stream`."""

    sections: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "Text": ("--file", "--input-format", "--strict", "--script", "--speaker", "--markup"),
            "Voice and model": ("--voice", "--model", "--seed"),
            "Audio file": ("--output", "--format", "--force", "--sample-rate", "--loudness", "--trim", "--speed"),
            "Heard as it is made": ("--play", "--stream", "--latency"),
            "Written beside the audio": ("--timings", "--words", "--sidecar", "--save-voice", "--json"),
            "Long text": ("--split", "--policy", "--language", "--retries", "--best-of"),
            "Sampling": (
                *(option.flag for option in SAMPLING_OPTIONS),
                *("--greedy", "--max-seconds"),
            ),
            "Computing": ("--device", "--dtype", "--backend", "--threads"),
        }
    )  # fmt: skip

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take away the value that `--stream` has in older scripts."""
        found: list[str] = []
        for arg in args:
            if arg == STDOUT and found and found[-1] == "--stream":
                continue
            found.append("--stream" if arg == "--stream=-" else arg)
        return super().parse_args(ctx, found)


@click.command(cls=_SayCommand)
@click.argument("texts", metavar="[TEXT]", nargs=-1)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=AUDIO_FILE,
    metavar="FILE",
    help="Read the text from a file, or from files: 'notes/*.txt'.",
)
@click.option(
    "-o",
    "--output",
    type=AUDIO_FILE,
    metavar="FILE",
    help="Audio file, - for stdout, a folder for several. [default: speech.wav, or FILE's name]",
)
@click.option(
    "--format",
    type=FORMAT,
    help="f32 is WAV of floats, ogg and opus are Ogg Opus, pcm has no header. [default: by the file's name]",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--stream", is_flag=True, help="Write the audio to stdout as it is made.")
@click.option(
    "--latency",
    type=LATENCY,
    default="sentence",
    help="With --stream or --play, low hands audio on before a sentence is whole; it sounds a little different, "
    "and --play then writes no file.",
)
@click.option(
    "--voice", type=VOICE, help="Name of a voice, or path of an .npz. See `openbark voices list`."
)
@click.option(
    "--model",
    type=MODEL,
    help="Checkpoint folder, or OWNER/NAME on the hub. [default: the embedded model]",
)
@click.option("--seed", type=click.INT, help="Same seed, same clip. [default: a random one]")
@click.option("--device", help="cpu, cuda, ... [default: cpu]")
@click.option(
    "--dtype",
    type=DTYPE,
    help="Precision of the weights; auto is int8 where that draws the same, float64 is torch's. [default: auto]",
)
@click.option(
    "--backend",
    type=BACKEND,
    help="What computes: the compiled CPU engine or PyTorch. [default: auto]",
)
@click.option("--threads", type=click.INT, help="CPU threads. [default: all cores]")
@click.option("--greedy", is_flag=True, help="Always the most likely token: no randomness.")
@sampling_options
@click.option("--max-seconds", type=click.FLOAT, help="Stop after this much speech.")
@speech_options
@click.option(
    "--timings",
    type=AUDIO_FILE,
    metavar="FILE",
    help="When each piece is heard: FILE.srt, .vtt or .json; or srt, vtt, json beside the audio.",
)
@click.option("--words", is_flag=True, help="Times of words too, estimated.")
@click.option("--sidecar", is_flag=True, help="Write all about the clip to FILE.json beside it.")
@click.option("--save-voice", type=FILE, metavar="FILE", help="Save the clip as a voice (.npz).")
@click.option(
    "--play",
    is_flag=True,
    help="Play the audio as it is made; when it is whole with --trim, --loudness or --sample-rate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a text on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no summary.")
@click.pass_context
def say(
    ctx: click.Context,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    output: str | None,
    format: str | None,
    force: bool,
    stream: bool,
    latency: str,
    voice: str | None,
    model: str | None,
    seed: int | None,
    device: str | None,
    dtype: str | None,
    backend: str | None,
    threads: int | None,
    greedy: bool,
    max_seconds: float | None,
    timings: str | None,
    words: bool,
    sidecar: bool,
    save_voice: Path | None,
    play: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Speak TEXT, or stdin (-, or a pipe), or files, into audio files.

    \b
    openbark "Hello there." -o hello.flac
    openbark say --file 'chapters/*.txt' -o audio/ --format mp3
    openbark say --file story.txt --stream | aplay
    """
    sources = read_sources(texts, files)
    params = given_params(ctx, greedy, max_seconds)
    options, script, edits = given_long_form(ctx), given_script(ctx), given_edits(ctx)
    asked = Asked(voice, check_seed(seed), GenerationParams(), options, script, edits, latency)
    input_format, strict = given_reading(ctx)
    asked = replace(asked, input_format=input_format, strict=strict)
    extras = _Extras(save_voice, timings, words, sidecar, play, as_json, quiet)
    only_plays = latency == "low" and play and not stream
    _check_early(
        sources, asked, extras, stream, {"-o": output, "--format": format, "--force": force}
    )
    outputs: list[Output] = []
    if not only_plays:
        outputs = plan_outputs(sources, STDOUT if stream else output, format, force)
        _check(outputs, extras, force)
    is_live = play and plays_live(asked)

    share_cores()
    from openbark.api import Bark

    started = time.perf_counter()
    with ProgressBar(enabled=not quiet) as progress:
        bark = Bark.load(model, device, dtype, threads, backend)
        load_seconds = time.perf_counter() - started
        asked = replace(asked, params=params(bark.default_params))
        if stream or only_plays:
            only = sources[0]
            said = (
                play_live(bark, only, asked) if play else pipe(bark, only, asked, outputs[0].format)
            )
            if not quiet:
                click.echo(said, err=True)
            return
        _check_readable(bark, sources, asked)
        for source, target in zip(sources, outputs, strict=True):
            with _listener(bark, source, asked, is_live) as listen:
                clip = _clip(bark, source, asked, progress, listen).edited_by(asked.edits)
                _write(clip, target, extras, len(outputs))
                with progress.hidden():
                    _tell(clip, bark, target, extras, load_seconds)
            if play and not is_live:
                clip.play()


def _check_readable(bark: Bark, sources: list[Source], asked: Asked) -> None:
    """What cannot be read is found before anything is spoken."""
    for source in sources:
        given = text_asked(source, asked.script, asked.input_format, asked.strict)
        try:
            plan_without_voices(bark.reader, given, asked.options)
        except TextError as error:
            raise TextError(f"{source.path}: {error}" if source.path else str(error)) from error


@contextmanager
def _listener(
    bark: Bark, source: Source, asked: Asked, is_live: bool
) -> Iterator[Callable[[Waveform], None] | None]:
    """What hears a clip while it is made; at the end everything was heard. Nobody, unless `is_live`."""
    if not is_live:
        yield None
        return
    from openbark.audio import LivePlayer

    with LivePlayer(bark.sample_rate) as player:
        outlet = Outlet(bark, source, asked, player.push)
        yield outlet.push
        outlet.finish()


def _clip(
    bark: Bark,
    source: Source,
    asked: Asked,
    progress: ProgressBar,
    listen: Callable[[Waveform], None] | None,
) -> Clip:
    script = script_of(source, asked.script, asked.input_format)
    if script is None:
        return bark.generate(
            source.text,
            asked.voice,
            asked.seed,
            asked.params,
            progress,
            options=asked.options,
            listen=listen,
            input_format=input_format_of(source, asked.input_format),
            strict=asked.strict,
        )
    return bark.generate_script(
        source.text,
        asked.voice,
        script.speakers,
        asked.seed,
        asked.params,
        script.format,
        script.markup,
        progress,
        options=asked.options,
        listen=listen,
        strict=asked.strict,
    )


def _check_early(
    sources: list[Source],
    asked: Asked,
    extras: _Extras,
    stream: bool,
    files: dict[str, str | bool | None],
) -> None:
    """Refuse what says something of audio that is whole where it is handed on before; `files` are flags of files."""
    edits = asked.edits
    whole = {
        "-o": files["-o"] is not None,
        "--force": bool(files["--force"]),
        "--trim": edits.trim,
        "--loudness": edits.loudness is not None,
        "--sample-rate": edits.sample_rate is not None,
        "--script": asked.script is not None,
        "--timings": extras.timings is not None,
        "--sidecar": extras.sidecar,
        "--save-voice": extras.save_voice is not None,
        "--json": extras.as_json,
    }
    if stream:
        check_flags("--stream", sources, {**whole, "--play": extras.play})
    elif asked.latency == "low" and extras.play:
        check_flags("--latency low", sources, {**whole, "--format": files["--format"] is not None})
    elif asked.latency == "low":
        raise click.UsageError(
            "--latency low is about audio as it is made; give --stream or --play too"
        )
    check_latency(asked)


def _check(outputs: list[Output], extras: _Extras, force: bool) -> None:
    """What is written beside the audio, before any work."""
    from openbark.result import sidecar_path
    from openbark.voices.npz import check_target

    if extras.as_json and outputs[0].path is None:
        raise click.UsageError("-o - and --json both want stdout; give the audio a file")
    if extras.save_voice is not None:
        if len(outputs) > 1:
            raise click.UsageError("--save-voice is one file for several texts; speak them apart")
        check_target(extras.save_voice)
        check_absent(extras.save_voice, force)
    if extras.words and extras.timings is None:
        raise click.UsageError("--words is about --timings; give that too")
    for output in outputs:
        if extras.timings is not None:
            check_absent(timings_file(extras.timings, output, len(outputs))[0], force)
        if extras.sidecar:
            if output.path is None:
                raise click.UsageError("--sidecar lies beside the audio; give it a file name")
            check_absent(sidecar_path(output.path), force)


def _write(clip: Clip, target: Output, extras: _Extras, n_outputs: int) -> None:
    from openbark.files import write_atomically

    # A clip too short for a voice says so before anything is written.
    voice = clip.as_voice(extras.save_voice.stem) if extras.save_voice else None
    if target.path is None:
        clip.save(sys.stdout.buffer, target.format)
        sys.stdout.buffer.flush()
    else:
        clip.save(target.path, target.format, sidecar=extras.sidecar)
    if voice and extras.save_voice:
        voice.save(extras.save_voice)
    if extras.timings:
        path, kind = timings_file(extras.timings, target, n_outputs)
        write_atomically(path, clip.subtitles(kind, extras.words).encode())


def _tell(clip: Clip, bark: Bark, target: Output, extras: _Extras, load_seconds: float) -> None:
    if not extras.quiet:
        click.echo(printable(summary(clip, target, extras.save_voice, extras.as_json)), err=True)
    if extras.as_json:
        found = report(clip, bark, target, load_seconds)
        click.echo(json.dumps(found, ensure_ascii=False))
