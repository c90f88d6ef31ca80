"""`openbark say`: text to an audio file. Also what `openbark "text"` runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openbark.cli.cores import share_cores
from openbark.cli.progress import ProgressBar
from openbark.cli.sampling import given_params, sampling_options
from openbark.errors import TextError
from openbark.params import GenerationParams, check_seed

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.result import Clip

__all__ = ["say"]

_STDOUT = "-"
_DEFAULT_STEM = "speech"


@dataclass(frozen=True)
class _Output:
    """Where the audio goes: a file, or stdout for None; and its format."""

    path: Path | None
    format: str

    @property
    def name(self) -> str:
        return str(self.path) if self.path else _STDOUT


@click.command()
@click.argument("text", required=False)
@click.option("--file", "text_file", type=click.Path(), help="Read the text from a file.")
@click.option("-o", "--output", help="Audio file, or - for stdout. [default: speech.wav]")
@click.option("--format", help="wav, f32, flac, mp3, ogg or pcm. [default: by the file's name]")
@click.option("--voice", help="Name of a voice, or path of an .npz. See `openbark voices list`.")
@click.option("--model", help="Checkpoint folder. [default: the embedded model]")
@click.option("--seed", type=click.INT, help="Same seed, same clip. [default: a random one]")
@click.option("--device", help="cpu, cuda, ... [default: cpu]")
@click.option(
    "--dtype",
    help="float32, bfloat16, int8, int4, with torch float64; or auto: int8 where that draws the same. "
    "[default: auto]",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "native", "torch"]),
    help="What computes: the compiled CPU engine or PyTorch. [default: auto]",
)
@click.option("--threads", type=click.INT, help="CPU threads. [default: all cores]")
@click.option("--greedy", is_flag=True, help="Always the most likely token: no randomness.")
@sampling_options
@click.option("--max-seconds", type=click.FLOAT, help="Stop after this much speech.")
@click.option(
    "--save-voice", type=click.Path(path_type=Path), help="Save the clip as a voice (.npz)."
)
@click.option("--play", is_flag=True, help="Play the clip when it is done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no card.")
@click.pass_context
def say(
    ctx: click.Context,
    text: str | None,
    text_file: str | None,
    output: str | None,
    format: str | None,
    voice: str | None,
    model: str | None,
    seed: int | None,
    device: str | None,
    dtype: str | None,
    backend: str | None,
    threads: int | None,
    greedy: bool,
    max_seconds: float | None,
    save_voice: Path | None,
    play: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Speak TEXT (- reads it from stdin) into an audio file."""
    words = _read_text(text, text_file)
    used_seed = check_seed(seed)
    params = given_params(ctx, greedy, max_seconds)
    target = _checked_output(output, format, as_json)
    _check_voice_file(save_voice)
    player = _checked_player(play)

    share_cores()
    from openbark.api import Bark

    started = time.perf_counter()
    with ProgressBar(enabled=not quiet) as progress:
        bark = Bark.load(model, device, dtype, threads, backend)
        load_seconds = time.perf_counter() - started
        clip = bark.generate(words, voice, used_seed, params(bark.default_params), progress)
    new_voice = clip.as_voice(save_voice.stem) if save_voice else None
    _write(clip, target)
    if new_voice and save_voice:
        new_voice.save(save_voice)
    if not quiet:
        click.echo(_card(clip, target, save_voice), err=True)
    if as_json:
        click.echo(json.dumps(_report(clip, bark, target, load_seconds), ensure_ascii=False))
    if player:
        player(clip)


def _read_text(text: str | None, text_file: str | None) -> str:
    if (text is None) == (text_file is None):
        raise click.UsageError("give a TEXT, - for stdin, or --file FILE (one of them)")
    from openbark.text.tokenizer import squeeze

    if text is not None and text != _STDOUT:
        return squeeze(text)
    if text_file is None:
        data, source = sys.stdin.buffer.read(), "stdin"
    else:
        source = text_file
        try:
            data = Path(text_file).read_bytes()
        except OSError as error:
            raise TextError(f"cannot read {text_file}: {error.strerror}") from error
    try:
        return squeeze(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise TextError(
            f"{source} is no UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error


def _checked_output(output: str | None, format: str | None, as_json: bool) -> _Output:
    from openbark.audio import check_output, output_format

    if output == _STDOUT:
        if as_json:
            raise click.UsageError("-o - and --json both want stdout; give the audio a file")
        if sys.stdout.isatty():
            raise click.UsageError("-o - writes audio to the terminal; redirect it, or give a file")
        return _Output(None, output_format(Path(), format or "wav"))
    if output is None:
        suffix = "wav" if format in (None, "f32") else format
        output = f"{_DEFAULT_STEM}.{suffix}"
    path = Path(output)
    return _Output(path, check_output(path, format))


def _check_voice_file(path: Path | None) -> None:
    if path is None:
        return
    from openbark.voices.npz import check_target

    check_target(path)


def _checked_player(play: bool) -> Callable[[Clip], None] | None:
    if not play:
        return None
    from openbark.cli import playback

    player = playback.find_player()
    return lambda clip: playback.play(clip, player)


def _write(clip: Clip, target: _Output) -> None:
    if target.path:
        clip.save(target.path, target.format)
        return
    stream = sys.stdout.buffer
    clip.save(stream, target.format)
    stream.flush()


def _card(clip: Clip, target: _Output, save_voice: Path | None) -> str:
    lines = [
        f"{clip.seconds:.2f} s of audio in {clip.wall_seconds:.2f} s "
        f"(real-time factor {clip.real_time_factor:.2f})",
        f"seed {clip.seed}, voice {clip.voice or 'none'}, model {clip.config.name}, "
        f"stopped by {clip.stop_reason}",
        f"file {target.name if target.path else 'stdout'}",
    ]
    if save_voice:
        lines.append(f"voice file {save_voice}")
    return "\n".join(lines)


def _report(clip: Clip, bark: Bark, target: _Output, load_seconds: float) -> dict[str, Any]:
    used: GenerationParams = clip.params
    return {
        "file": target.name,
        "format": target.format,
        "seconds": round(clip.seconds, 4),
        "sample_rate": clip.sample_rate,
        "wall_seconds": round(clip.wall_seconds, 4),
        "load_seconds": round(load_seconds, 4),
        "real_time_factor": round(clip.real_time_factor, 4),
        "seed": clip.seed,
        "voice": clip.voice,
        "stop_reason": str(clip.stop_reason),
        "timings": {stage: round(seconds, 4) for stage, seconds in clip.timings.items()},
        "text": clip.text,
        "normalized_text": clip.normalized_text,
        "n_text_tokens": clip.n_text_tokens,
        "params": asdict(used),
        "model": clip.config.name,
        "backend": bark.backend.description,
        "generator": clip.provenance()["generator"],
    }
