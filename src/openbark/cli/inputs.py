"""The texts that a command is given: on the command line, on stdin, in files. Reads them, speaks none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from openbark.errors import TextError

__all__ = ["STDIN", "Source", "read_sources"]

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
    """What to speak: one text, `-` for stdin, or the files of some patterns, in the order of their names.

    With patterns the arguments are files too, which is what a shell makes of `--file *.txt`. Raises
    UsageError for none or several texts, TextError for a file that is missing, is no UTF-8, or holds nothing.
    """
    if patterns:
        return [_checked(_read_file(path), path) for path in _files([*patterns, *texts])]
    if not texts:
        raise click.UsageError("give a TEXT, - for stdin, or --file FILE")
    if len(texts) > 1:
        raise click.UsageError(
            f"unexpected extra argument {texts[1]!r}: quote a text that has spaces, and name files with --file"
        )
    if texts[0] == STDIN:
        return [_checked(_decoded(sys.stdin.buffer.read(), "stdin"), None)]
    return [_checked(texts[0], None)]


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
        path = Path(pattern)
        matches = [path]
        if not path.exists() and any(letter in pattern for letter in _WILD):
            below = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
            matches = sorted(match for match in below if match.is_file())
        if not matches:
            raise TextError(f"no file is named like {pattern}")
        found.update(dict.fromkeys(matches))
    return list(found)


def _read_file(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TextError(f"cannot read {path}: {error.strerror}") from error
    return _decoded(data, str(path))


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(
            f"{source} is no UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error
