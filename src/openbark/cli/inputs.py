"""The texts that a command is given: on the command line, on stdin, in files. Reads them, speaks none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openbark.cli.groups import check_no_file
from openbark.cli.process import is_pipe, is_regular_file
from openbark.errors import TextError
from openbark.files import expanded

if TYPE_CHECKING:
    from openbark.speech.options import SpeechOptions
    from openbark.speech.plan import SpeechPlan
    from openbark.text.reader import TextReader

STDIN = "-"
_WILD = "*?["


@dataclass(frozen=True)
class Source:
    """One text, and the file it was read from, None for the command line and stdin."""

    text: str
    path: Path | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.path) if self.path else "the text"


def read_sources(texts: Sequence[str], patterns: Sequence[str]) -> list[Source]:
    """What to speak: one text, stdin for `-` or a pipe, or the files of some patterns, in the order of their names.

    With patterns the arguments are files too, which is what a shell makes of `--file *.txt`. Raises
    UsageError for none or several texts, TextError for a file that is missing, not UTF-8, or holds nothing.
    """
    if patterns:
        for text in texts:
            if not _is_there(expanded(text)) and not any(letter in text for letter in _WILD):
                raise click.UsageError(
                    f"give a text or --file, not both: {text!r} is not a file, and --file is {patterns[0]}"
                )
        return [_checked(_read_file(path), path) for path in _files([*patterns, *texts])]
    if not texts and stdin_has_text():
        texts = (STDIN,)
    if not texts:
        raise click.UsageError("give a TEXT, - for stdin, or --file FILE")
    if len(texts) > 1:
        raise click.UsageError(
            f"unexpected extra argument {texts[1]!r}: quote a text that has spaces, and name files with --file"
        )
    if texts[0] == STDIN:
        if sys.stdin is None:
            raise click.UsageError("stdin is closed; give a TEXT or --file FILE")
        return [_checked(_decoded(sys.stdin.buffer.read(), "stdin"), None)]
    check_no_file(texts[0])
    return [_checked(texts[0], None)]


def stdin_has_text() -> bool:
    """Whether stdin is a pipe or a file: `echo Hi | openbark`. Not a terminal, nor the null device of a service."""
    if is_pipe(sys.stdin) or is_regular_file(sys.stdin):
        return True
    try:
        stream = sys.stdin.buffer
        stream.fileno()
    except AttributeError:
        return False
    except (OSError, ValueError):  # a stream in memory, of a program that runs us
        return stream.seekable() and len(stream.read()) > stream.seek(0)
    return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _checked(text: str, path: Path | None) -> Source:
    from openbark.text.tokenizer import squeeze

    try:
        squeeze(text)
    except TextError as error:
        raise TextError(f"{path}: {error}" if path else str(error)) from error
    return Source(text.replace("\r\n", "\n").strip(), path)


def _files(patterns: Sequence[str]) -> list[Path]:
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = expanded(pattern)
        matches = [path]
        if not _is_there(path) and any(letter in pattern for letter in _WILD):
            below = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
            matches = sorted(match for match in below if match.is_file())
        if not matches:
            raise TextError(f"no file matches {pattern}")
        found.update(dict.fromkeys(matches))
    return list(found)


def _read_file(path: Path) -> str:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TextError(f"cannot read {path}: {reason}") from error
    return _decoded(data, str(path))


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(
            f"{source} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error


def options_for(source: Source, options: SpeechOptions) -> SpeechOptions:
    """The options of one source: what they leave open of its format is told by the file's name."""
    from openbark.speech.options import ScriptOptions
    from openbark.text.scripts.documents import format_of_file

    named = format_of_file(source.path)
    if named is None or options.script is not None or options.input_format not in (None, "auto"):
        return options
    if named in ("srt", "ssml"):
        return replace(options, script=ScriptOptions(named))
    return replace(options, input_format=named)


def plan_without_voices(reader: TextReader, source: Source, options: SpeechOptions) -> SpeechPlan:
    """What will be spoken; the voices that a script names are not looked up. Raises TextError or ParamError."""
    from openbark.speech.plan import plan_speech

    own = options_for(source, options)
    return plan_speech(
        reader, source.text, own, lambda speech: (speech.voice or speech.speaker, None)
    )


def open_reader(model: str | None) -> TextReader:
    """The reader of a model, without its weights. Raises CheckpointError."""
    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.checkpoints.find import find_checkpoint
    from openbark.text.reader import TextReader
    from openbark.text.tokenizer import Tokenizer

    checkpoint = open_checkpoint(find_checkpoint(model))
    return TextReader(checkpoint.config, Tokenizer.load(checkpoint.tokenizer_path))
