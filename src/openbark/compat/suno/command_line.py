"""`python -m bark`, with Suno's options and defaults (docs/parity.md S6).

Different on purpose: truth values are read as what they say, `--output_full` writes the tokens beside the
audio rather than failing, and an error is one line on stderr with an exit code other than 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from openbark.compat.suno.defaults import Unset
from openbark.compat.suno.environment import parse_flag
from openbark.errors import AudioError, OpenBarkError, ParamError, TextError

_TEMP_HELP = "0.7, or the value a checkpoint was made for; higher is more varied"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bark", description="Speak a text with Bark.")

    def boolean(text: str) -> bool:
        try:
            return parse_flag(text, "value")
        except ParamError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    def switch(name: str, about: str) -> None:
        parser.add_argument(
            name, type=boolean, nargs="?", const=True, default=False, metavar="BOOL", help=about
        )

    parser.add_argument("--text", help="what to say")
    parser.add_argument("--output_filename", default="bark_generation.wav", help="file to write")
    parser.add_argument("--output_dir", default=".", help="folder to write it to")
    parser.add_argument("--history_prompt", help="name of a voice, or path of an .npz")
    parser.add_argument("--text_temp", type=float, default=Unset(0.7), help=_TEMP_HELP)
    parser.add_argument("--waveform_temp", type=float, default=Unset(0.7), help=_TEMP_HELP)
    switch("--silent", "no progress bar")
    switch("--output_full", "also write the tokens, as an .npz that --history_prompt takes")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or that of the error."""
    options = _parser().parse_args(arguments)
    try:
        _speak(options)
    except OpenBarkError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def cli() -> None:
    """`bark.cli.cli`: run with the arguments of the process, and leave with an exit code (S6)."""
    sys.exit(main())


def _speak(options: argparse.Namespace) -> None:
    if options.text is None:
        raise TextError("no text; give one with --text")
    from openbark.audio import check_output, write_audio
    from openbark.compat.suno.api import generate_audio, save_as_prompt
    from openbark.compat.suno.generation import SAMPLE_RATE

    folder = Path(options.output_dir).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"cannot make the folder {folder}: {error.strerror}") from error
    target = folder / options.output_filename
    # Suno writes float32 WAV.
    format = check_output(target, "f32" if target.suffix.lower() == ".wav" else None)
    made = generate_audio(
        options.text,
        history_prompt=options.history_prompt,
        text_temp=options.text_temp,
        waveform_temp=options.waveform_temp,
        silent=options.silent,
        output_full=True,
    )
    if not isinstance(made, tuple):
        raise TypeError("generate_audio(output_full=True) gives two values")
    full, waveform = made
    write_audio(target, waveform, SAMPLE_RATE, format, {})
    if options.output_full:
        save_as_prompt(target.with_suffix(".npz"), full)
    if not options.silent:
        sys.stderr.write(f"wrote {target}\n")
