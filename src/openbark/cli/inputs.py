"""The texts that a command is given: on the command line, on stdin, in files. Reads them, speaks none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from openbark.cli.streams import is_pipe, is_regular_file
from openbark.cli.typed_words import check_no_file
from openbark.errors import TextError
from openbark.files import expanded

__all__ = ["STDIN", "Source", "read_sources", "stdin_has_text"]

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
