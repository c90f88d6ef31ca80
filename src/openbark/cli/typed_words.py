"""First words that are typed as commands and are none: answered, and never spoken by mistake."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import click

from openbark.cli.groups import nearest_command

__all__ = ["check_no_command", "check_no_file"]

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
