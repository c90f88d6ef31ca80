"""Commands of recipes: they make one particular model and are in the repository, not in the installed package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

from openbark.cli.groups import SuggestingGroup
from openbark.errors import TrainingError

RECIPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "embedded": ("recipes.embedded", "Make the embedded model from nothing"),
        "teach": ("recipes.embedded", "Speak or label a corpus with Kokoro"),
    }
)
"""Commands by name: the recipe, whose module `commands` has a click command of that name, and what the command does."""

_CLONE = Path(__file__).parents[3]
"""The clone, where the package is used in one (`pip install -e .`)."""


class RecipeGroup(SuggestingGroup):
    """A group that has, besides its own commands, those of `RECIPES`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, whether the recipe is here or not."""
        return sorted({*super().list_commands(ctx), *RECIPES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; without its recipe, one that says where the recipe is."""
        if cmd_name not in RECIPES:
            return super().get_command(ctx, cmd_name)
        recipe, purpose = RECIPES[cmd_name]
        return _from_clone(recipe, cmd_name) or _absent(recipe, cmd_name, purpose)


def _from_clone(recipe: str, name: str) -> click.Command | None:
    folder = _CLONE.joinpath(*recipe.split("."))
    if (folder / "commands.py").is_file() and str(_CLONE) not in sys.path:
        # Not only for this import: the processes that a recipe starts get the same path.
        sys.path.insert(0, str(_CLONE))
    try:
        module = importlib.import_module(f"{recipe}.commands")
    except ModuleNotFoundError as error:
        if error.name not in ("recipes", recipe, f"{recipe}.commands"):
            raise
        return None
    command = getattr(module, name)
    return command if isinstance(command, click.Command) else None


def _absent(recipe: str, name: str, purpose: str) -> click.Command:
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}

    @click.command(name, context_settings=settings)
    def command() -> None:
        raise TrainingError(
            f"`openbark train {name}` is a recipe ({recipe.replace('.', '/')}/), which is in the repository of OpenBark "
            "and not in the installed package; clone the repository, run `pip install -e '.[train]'` in it, "
            f"and `openbark train {name}` again"
        )

    command.help = (
        f"{purpose}. Needs a clone of the repository: {recipe.replace('.', '/')}/ is not installed."
    )
    return command
