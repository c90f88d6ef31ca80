"""`openbark`: finds the command, and turns errors into one line on stderr and an exit code.

Anything that is not a command is a text to speak. Command modules are imported when they are needed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from openbark import __version__
from openbark.cli.groups import SuggestingGroup, check_no_command, one_line_errors
from openbark.cli.inputs import stdin_has_text
from openbark.cli.process import open_closed_streams

_DEFAULT_COMMAND = "say"
_META_KEY = "openbark.command"

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "say": ("openbark.cli.say", "Speak a text (the default command)."),
        "text": ("openbark.cli.text", "Show what will be spoken, piece by piece."),
        "replay": ("openbark.cli.replay", "Make the audio of a file again."),
        "detect": ("openbark.cli.detect", "Look for OpenBark's watermark and tags in a file."),
        "voices": ("openbark.cli.voices", "List, check, make and exchange voices."),
        "models": ("openbark.cli.models", "List, inspect, fetch and convert models."),
        "coqui": ("openbark.cli.coqui", "Coqui's `tts` command line, with Bark."),
        "infinity": ("openbark.cli.infinity", "Bark Infinity's command line: texts of any length."),
        "doctor": ("openbark.cli.doctor", "Check this installation, down to a spoken word."),
        "serve": ("openbark.cli.serve", "Serve OpenAI's speech API and a web page."),
        "batch": ("openbark.cli.batch", "Speak many texts into one folder; resumes."),
        "bench": ("openbark.cli.bench", "Measure how fast this machine speaks."),
        "train": ("openbark.cli.train", "Train a Bark, or the embedded model from nothing."),
        "completion": (
            "openbark.cli.completion",
            "Let the shell complete names (bash, zsh, fish).",
        ),
    }
)
"""Commands by name: the module that holds a click command of that name, and what `--help` says of it."""


class DefaultGroup(SuggestingGroup):
    """A group whose commands are imported on use, and whose default command needs no name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands that are installed."""
        return [name for name, (module, _) in COMMANDS.items() if importlib.util.find_spec(module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command if isinstance(command, click.Command) else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front of arguments that name none."""
        with one_line_errors():
            found = self._with_command(ctx, args)
            ctx.meta[_META_KEY] = found[0] if found else ""
            return super().parse_args(ctx, found)

    def _with_command(self, ctx: click.Context, args: list[str]) -> list[str]:
        commands = self.list_commands(ctx)
        if ctx.resilient_parsing:  # the shell asks what may follow
            is_command = not args or args[0] in commands
            return args if is_command else [_DEFAULT_COMMAND, *args]
        if not args:
            return [_DEFAULT_COMMAND] if stdin_has_text() else args
        if args[0] == "help" and all(word in commands for word in args[1:2]):
            return [*args[1:], "--help"]
        if args == ["version"]:
            return ["--version"]
        own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if args[0] in own or args[0] in commands:
            return args
        check_no_command(args, commands)
        return [_DEFAULT_COMMAND, *args]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of ours and Ctrl-C become exit codes."""
        with one_line_errors(ctx.meta[_META_KEY]):
            return super().invoke(ctx)


@click.group(cls=DefaultGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="openbark", message="%(prog)s %(version)s")
def cli() -> None:
    """Text to speech with Bark.

    \b
    openbark "Hello there."                 speak, into speech.wav
    openbark "Hello." -o hello.flac --voice en_0 --seed 7
    echo "Hello." | openbark -o - > hello.wav
    openbark help say                       all options of a command
    """


def main() -> None:
    """Entry point of the `openbark` program."""
    open_closed_streams()
    cli(prog_name="openbark")
