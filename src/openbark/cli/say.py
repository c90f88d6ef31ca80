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
from openbark.cli.groups import printable
from openbark.cli.inputs import Source, options_for, plan_without_voices, read_sources
from openbark.cli.live import Outlet, check_flags, pipe, play_live, plays_live
from openbark.cli.outputs import (
    STDOUT,
    Output,
    check_absent,
    plan_outputs,
    report,
    summary,
    timings_file,
)
from openbark.cli.process import share_cores
from openbark.cli.sections import SectionedCommand
from openbark.cli.speech_options import (
    SAMPLING_OPTIONS,
    given_edits,
    given_params,
    given_speech,
    given_watermark,
    sampling_options,
    speech_options,
)
from openbark.errors import TextError
from openbark.params import check_seed
from openbark.progress import ProgressBar

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.audio import Edits, Waveform
    from openbark.result import Clip
    from openbark.speech.options import SpeechOptions


@dataclass(frozen=True)
class _OutputOptions:
    """What is done to the audio, and what is written and printed with it."""

    edits: Edits
    watermark: bool
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
            "Audio file": ("--output", "--format", "--force", "--sample-rate", "--loudness", "--trim", "--speed", "--no-watermark"),
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
    options = given_speech(ctx, voice, check_seed(seed), latency)
    audio = given_edits(ctx), given_watermark(ctx)
    extras = _OutputOptions(*audio, save_voice, timings, words, sidecar, play, as_json, quiet)
    only_plays = latency == "low" and play and not stream
    _check_early(
        sources, options, extras, stream, {"-o": output, "--format": format, "--force": force}
    )
    outputs: list[Output] = []
    if not only_plays:
        outputs = plan_outputs(sources, STDOUT if stream else output, format, force)
        _check(outputs, extras, force)
    is_live = play and plays_live(options, extras.edits)

    share_cores()
    from openbark.api import Bark

    started = time.perf_counter()
    with ProgressBar(enabled=not quiet) as progress:
        bark = Bark.load(model, device, dtype, threads, backend)
        load_seconds = time.perf_counter() - started
        options = replace(options, params=params(bark.default_params))
        if stream or only_plays:
            only, speed = sources[0], extras.edits.speed
            said = (
                play_live(bark, only, options, speed, extras.watermark)
                if play
                else pipe(bark, only, options, speed, outputs[0].format, extras.watermark)
            )
            if not quiet:
                click.echo(said, err=True)
            return
        _check_readable(bark, sources, options)
        for source, target in zip(sources, outputs, strict=True):
            own = replace(options_for(source, options), progress=progress)
            with _listener(bark, source, own, extras, is_live) as listen:
                clip = bark.job(source.text, own).clip(bark.engine, listen)
                clip = _finished(clip, extras)
                _write(clip, target, extras, len(outputs))
                with progress.hidden():
                    _tell(clip, bark, target, extras, load_seconds)
            if play and not is_live:
                clip.play()


def _finished(clip: Clip, extras: _OutputOptions) -> Clip:
    edited = clip.edited_by(extras.edits)
    return edited.watermarked() if extras.watermark else edited


def _check_readable(bark: Bark, sources: list[Source], options: SpeechOptions) -> None:
    """What cannot be read is found before anything is spoken."""
    for source in sources:
        try:
            plan_without_voices(bark.reader, source, options)
        except TextError as error:
            raise TextError(f"{source.path}: {error}" if source.path else str(error)) from error


@contextmanager
def _listener(
    bark: Bark, source: Source, options: SpeechOptions, extras: _OutputOptions, is_live: bool
) -> Iterator[Callable[[Waveform], None] | None]:
    """A function that plays blocks as they are made, and waits at the end for the last; None unless `is_live`."""
    if not is_live:
        yield None
        return
    from openbark.audio import LivePlayer

    with LivePlayer(bark.sample_rate) as player:
        marked = options.seed if extras.watermark else None
        outlet = Outlet(bark, source, extras.edits.speed, player.push, marked)
        yield outlet.push
        outlet.finish()


def _check_early(
    sources: list[Source],
    options: SpeechOptions,
    extras: _OutputOptions,
    stream: bool,
    files: dict[str, str | bool | None],
) -> None:
    """Refuse options that need the whole clip where audio is passed on earlier; `files` are flags of files."""
    edits = extras.edits
    whole = {
        "-o": files["-o"] is not None,
        "--force": bool(files["--force"]),
        "--trim": edits.trim,
        "--loudness": edits.loudness is not None,
        "--sample-rate": edits.sample_rate is not None,
        "--script": options.script is not None,
        "--timings": extras.timings is not None,
        "--sidecar": extras.sidecar,
        "--save-voice": extras.save_voice is not None,
        "--json": extras.as_json,
    }
    if stream:
        check_flags("--stream", sources, {**whole, "--play": extras.play})
    elif options.latency == "low" and extras.play:
        check_flags("--latency low", sources, {**whole, "--format": files["--format"] is not None})
    elif options.latency == "low":
        raise click.UsageError(
            "--latency low is about audio as it is made; give --stream or --play too"
        )


def _check(outputs: list[Output], extras: _OutputOptions, force: bool) -> None:
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


def _write(clip: Clip, target: Output, extras: _OutputOptions, n_outputs: int) -> None:
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


def _tell(
    clip: Clip, bark: Bark, target: Output, extras: _OutputOptions, load_seconds: float
) -> None:
    if not extras.quiet:
        click.echo(printable(summary(clip, target, extras.save_voice, extras.as_json)), err=True)
    if extras.as_json:
        found = report(clip, bark, target, load_seconds)
        click.echo(json.dumps(found, ensure_ascii=False))
