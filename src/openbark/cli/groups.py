"""How every command ends: one form of error, one exit code for each kind, and the nearest command for an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from openbark.errors import CancelledError, OpenBarkError
from openbark.extras import missing_package

__all__ = ["CommandError", "SuggestingGroup", "nearest_command", "one_line_errors", "printable"]

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
