"""How every command ends and how a mistyped one is answered: one form of error, one exit code for each kind, and the
nearest command for a first word that is none.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import click

from openbark.errors import CancelledError, OpenBarkError
from openbark.extras import missing_package

_CUTOFF = 0.8
_USAGE_EXIT_CODE = 2


class CommandError(click.ClickException):
    """An error for the person at the terminal: one line, and the exit code of its kind."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        # Click declares it per class; it is read from the instance.
        self.exit_code = exit_code  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(f"error: {printable(self.format_message())}", file=file, err=file is None)


def printable(text: str) -> str:
    """`text` without control characters, which a terminal would obey; line ends and tabs stay."""
    return "".join(
        letter
        if letter in "\n\t\u00a0" or letter.isprintable()
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


@contextmanager
def one_line_errors(command: str = "") -> Iterator[None]:
    """Errors of ours, of usage, of a missing package and Ctrl-C as `CommandError`."""
    try:
        yield
    except OpenBarkError as error:
        raise CommandError(str(error), error.exit_code) from error
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        message = error.format_message().replace("\n\n", " ").replace("\n", " ")
        raise CommandError(f"{message}{where}", _USAGE_EXIT_CODE) from error
    except ImportError as error:
        missing = missing_package(error, command)
        if missing is None:
            raise
        raise CommandError(str(missing), missing.exit_code) from error
    except KeyboardInterrupt as error:
        raise CommandError("interrupted", CancelledError.exit_code) from error


def nearest_command(word: str, commands: Iterable[str]) -> str | None:
    """The command that `word` is a misspelling of, if any."""
    near = difflib.get_close_matches(word.lower(), list(commands), n=1, cutoff=_CUTOFF)
    return near[0] if near else None


class SuggestingGroup(click.Group):
    """A group that names the nearest of its commands, or all of them, for one it does not have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with another error."""
        word = args[0]
        known = self.list_commands(ctx)
        if word not in known and not word.startswith("-") and not ctx.resilient_parsing:
            near = nearest_command(word, known)
            hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(known)}"
            raise click.UsageError(f"No such command {word!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


_OFFERS: Mapping[str, str] = MappingProxyType(
    {
        "list": "openbark voices list, or openbark models list",
        "ls": "openbark voices list, or openbark models list",
        "show": "openbark voices show NAME, or openbark models show",
        "info": "openbark doctor, or openbark models show",
        "check": "openbark doctor",
        "status": "openbark doctor",
        "test": "openbark doctor",
        "config": "openbark models show; settings are options: openbark say --help",
        "download": "openbark models download OWNER/NAME",
        "pull": "openbark models download OWNER/NAME",
        "fetch": "openbark models download OWNER/NAME",
        "convert": "openbark models convert",
        "import": "openbark voices import FILE",
        "export": "openbark voices export NAME",
        "remove": "openbark voices remove NAME",
        "delete": "openbark voices remove NAME",
        "play": "openbark voices play NAME, or openbark say TEXT --play",
        "speak": "openbark say TEXT",
        "tts": "openbark say TEXT",
        "generate": "openbark say TEXT",
        "synthesize": "openbark say TEXT",
        "stream": "openbark say TEXT --stream",
        "run": "openbark say TEXT, or openbark serve",
        "start": "openbark serve",
        "api": "openbark serve",
        "webui": "openbark serve",
        "install": "openbark models download OWNER/NAME",
        "update": "pip install --upgrade openbark",
        "upgrade": "pip install --upgrade openbark",
        "uninstall": "pip uninstall openbark",
        "completions": "openbark completion",
        "benchmark": "openbark bench",
        "finetune": "openbark train",
    }
)
"""What is meant by words that other programs have as commands."""

_TEXT_SUFFIXES = (
    ".txt",
    ".md",
    ".markdown",
    ".srt",
    ".vtt",
    ".ssml",
    ".xml",
    ".rst",
    ".html",
    ".htm",
)
_OTHER_SUFFIXES = (
    *(".csv", ".tsv", ".json", ".jsonl", ".pdf", ".epub", ".docx", ".doc", ".odt", ".rtf", ".tex"),
    *(".log", ".wav", ".mp3", ".flac", ".ogg", ".opus", ".npz", ".pth", ".pt", ".safetensors"),
)  # fmt: skip


def check_no_command(args: list[str], commands: Iterable[str]) -> None:
    """Raise UsageError where the first argument is a word typed as a command: "list", "voice", "trian"."""
    word = args[0]
    if not word.isascii() or not word.replace("-", "").isalpha() or word != word.lower():
        return
    near = nearest_command(word, commands)
    offer = _OFFERS.get(word) or (f"openbark {' '.join([near, *args[1:]])}" if near else None)
    if offer is not None:
        raise click.UsageError(
            f"{word!r} is not a command; did you mean {offer}? To speak the word: openbark say {word}"
        )


def check_no_file(text: str) -> None:
    """Raise UsageError for a text that is the name of a file."""
    if not text or len(text.split()) != 1:
        return
    suffix = Path(text).suffix.lower()
    is_name = suffix in _TEXT_SUFFIXES or suffix in _OTHER_SUFFIXES
    try:
        is_there = (is_name or os.sep in text) and Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        is_there = False
    if is_there and suffix in _OTHER_SUFFIXES:
        raise click.UsageError(
            f"{text} is a file; to speak its name: echo {text} | openbark -, to speak a text file: --file FILE"
        )
    if is_there:
        raise click.UsageError(
            f"{text} is a file; to speak what is in it: openbark say --file {text}"
        )
    if is_name:
        raise click.UsageError(
            f"there is no file {text}; to speak a file: --file FILE, to speak the name: echo {text} | openbark -"
        )
