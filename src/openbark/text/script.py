"""A script in any of its formats to script items: who says what, and where it is silent.

Dispatch only; the formats are `script_markup`, `script_ssml` and `script_srt`. Knows no voices.
"""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

from openbark.errors import ParamError, TextError
from openbark.text.script_items import ScriptItem, Speech, check_markup
from openbark.text.script_markup import parse_markup
from openbark.text.script_srt import parse_srt
from openbark.text.script_ssml import parse_ssml

__all__ = ["SCRIPT_FORMATS", "parse_script", "script_format"]

SCRIPT_FORMATS = MappingProxyType(
    {
        "text": "plain text with NAME: lines, [pause:500ms], [voice:x]",
        "ssml": "SSML: speak p s break voice prosody (rate)",
        "srt": "SubRip subtitles, each cue at its time",
    }
)
"""Formats by name, with what each is."""


def script_format(source: str, name: str | None = None) -> str:
    """The format to read `source` as: `name` itself; for None "ssml" where it begins with <speak or <?xml,
    else "text". Raises ParamError for an unknown name."""
    if name is not None:
        if name not in SCRIPT_FORMATS:
            raise ParamError(f"unknown script format {name!r}; legal: {', '.join(SCRIPT_FORMATS)}")
        return name
    return "ssml" if source.lstrip("\ufeff \t\r\n").startswith(("<speak", "<?xml")) else "text"


def parse_script(
    source: str,
    format: str | None = None,
    speakers: Collection[str] = (),
    markup: str = "error",
) -> tuple[ScriptItem, ...]:
    """Read a script.

    speakers: the names that may stand before a colon; markup: one of `script_items.MARKUPS`.
    Raises TextError, with its place, for what cannot be read, and where nothing is said.
    """
    check_markup(markup)
    for name in speakers:
        if not name.strip() or name != name.strip() or "\n" in name:
            raise ParamError(
                f"{name!r} cannot name a speaker; use a word or words, no space around"
            )
    kind = script_format(source, format)
    if kind == "ssml":
        items = parse_ssml(source, markup)
    elif kind == "srt":
        items = parse_srt(source, speakers, markup)
    else:
        items = parse_markup(source, speakers, markup)
    if not any(isinstance(item, Speech) for item in items):
        raise TextError("the script says nothing; write at least one word")
    return tuple(items)
