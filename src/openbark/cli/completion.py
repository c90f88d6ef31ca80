"""`openbark completion`: lets the shell complete commands, options, voices, formats and files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click
from click.shell_completion import get_completion_class

from openbark.errors import InputError

_PROGRAM = "openbark"
_VARIABLE = "_OPENBARK_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")
_ZSH_LINE = f'eval "$({_VARIABLE}=zsh_source {_PROGRAM})"'
_FILES: Mapping[str, str] = MappingProxyType(
    {
        "bash": ".local/share/bash-completion/completions/openbark",
        "fish": ".config/fish/completions/openbark.fish",
    }
)
"""Where the shells look for completions of a user, below the home folder."""


@click.command()
@click.argument("shell", required=False, type=click.Choice(_SHELLS))
@click.option(
    "--install", is_flag=True, help="Put it where the shell finds it, for every new shell."
)
def completion(shell: str | None, install: bool) -> None:
    """Print the completion script of SHELL (by default the one in $SHELL), or install it.

    \b
    openbark completion --install          bash, zsh or fish, whichever you use
    eval "$(openbark completion bash)"     for this shell only
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in _SHELLS:
        raise click.UsageError(f"give the shell: {', '.join(_SHELLS)}")
    if not install:
        click.echo(_script(name))
        return
    target = _install(name)
    click.echo(f"completion for {name} is in {target}; open a new shell to use it")


def _script(shell: str) -> str:
    found = get_completion_class(shell)
    if found is None:
        raise InputError(f"click has no completion for {shell}")
    command = click.Command(_PROGRAM)
    return found(command, {}, _PROGRAM, _VARIABLE).source()


def _install(shell: str) -> Path:
    """The file that was written, or already held it."""
    target = Path.home() / _FILES.get(shell, ".zshrc")
    try:
        if shell in _FILES:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"{_script(shell)}\n", encoding="utf-8")
        elif _ZSH_LINE not in (target.read_text(encoding="utf-8") if target.is_file() else ""):
            with target.open("a", encoding="utf-8") as stream:
                stream.write(f"\n{_ZSH_LINE}\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot write {target}: {error}; print the script instead: openbark completion {shell}"
        ) from error
    return target
