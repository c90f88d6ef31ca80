"""Values that options take, with what the shell completes for them. Imports nothing heavy until it is asked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from openbark.errors import OpenBarkError
from openbark.files import expanded

if TYPE_CHECKING:
    from openbark.voices.library import VoiceLibrary

FORMAT = click.Choice(
    ("wav", "f32", "flac", "mp3", "ogg", "opus", "aac", "pcm"), case_sensitive=False
)
DTYPE = click.Choice(("auto", "float32", "bfloat16", "float64", "int8", "int4"))
BACKEND = click.Choice(("auto", "native", "torch"))
LATENCY = click.Choice(("sentence", "low"))
SPLIT = click.Choice(("sentence", "packed", "none"))
POLICY = click.Choice(("anchor", "chain", "hybrid"))
SCRIPT = click.Choice(("text", "ssml", "srt"))
MARKUP = click.Choice(("read", "speak", "error"))
LANGUAGE = click.Choice(
    ("de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh")
)
"""As in the library, whose modules are too heavy for `--help`; a test compares them."""


class FilePath(click.ParamType[Path]):
    """A path, `~` expanded. The shell completes files."""

    name = "file"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """The path."""
        return expanded(str(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files are the shell's own business."""
        return [CompletionItem(incomplete, type="file")]


class _FileName(click.ParamType[str]):
    """A text that is mostly a file's name, taken as it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The text."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files are the shell's own business."""
        return [CompletionItem(incomplete, type="file")]


class _Model(_FileName):
    """A model: the embedded one, one in the hub's cache, or a folder."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of the models that are here, and folders."""
        names: list[str] = []
        with suppress(OpenBarkError, OSError, ImportError):
            from openbark.cli.local_models import local_models

            names = [model.name for model in local_models()]
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="dir")]


class _Voice(_FileName):
    """A voice by name, or a voice file."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of the model's and the user's voices, and files."""
        names: tuple[str, ...] = ()
        with suppress(OpenBarkError, OSError, ImportError):
            names = _library(ctx.params.get("model")).names
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="file")]


def _library(model: str | None) -> VoiceLibrary:
    from openbark.checkpoints.find import find_checkpoint
    from openbark.checkpoints.hub.download import is_hub_id
    from openbark.voices.library import library_of

    # Completion fetches nothing: a name on the hub is as good as none here.
    is_remote = model is not None and is_hub_id(model) and not expanded(model).exists()
    return library_of(find_checkpoint(None if is_remote else model))


FILE = FilePath()
AUDIO_FILE = _FileName("file")
MODEL = _Model("model")
VOICE = _Voice("voice")
