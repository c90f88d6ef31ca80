"""A script in any of its formats to script items: who says what, and where it is silent.

Dispatch only; the formats are `script_markup`, `script_ssml` and `script_srt`. Knows no voices.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType

from openbark.errors import ParamError, TextError
from openbark.text.left_out import LeftOut
from openbark.text.scripts.items import ScriptItem, Speech, check_markup
from openbark.text.scripts.markup import parse_markup
from openbark.text.scripts.ssml import parse_ssml
from openbark.text.scripts.subtitles import parse_srt

SCRIPT_FORMATS = MappingProxyType(
    {
        "text": "plain text with NAME: lines, [pause:500ms], [voice:x]",
        "ssml": "SSML: speak p s break voice prosody (rate) sub say-as lang mark",
        "srt": "SubRip or WebVTT subtitles, each cue at its time",
    }
)
"""Formats by name, with what each is."""


def script_format(source: str, name: str | None = None) -> str:
    """The format to read `source` as: `name` itself; for None "ssml" where it begins with <speak or <?xml,
    else "text". Raises ParamError for an unknown name."""
    if name is not None:
        if name not in SCRIPT_FORMATS:
            raise ParamError(
                f"unknown script format {name!r}; allowed: {', '.join(SCRIPT_FORMATS)}"
            )
        return name
    return "ssml" if source.lstrip("\ufeff \t\r\n").startswith(("<speak", "<?xml")) else "text"


@dataclass(frozen=True)
class ScriptReading:
    """The items of a script, and the markup in it that has no effect here."""

    items: tuple[ScriptItem, ...]
    left_out: tuple[LeftOut, ...] = ()


def read_script(
    source: str,
    format: str | None = None,
    speakers: Collection[str] = (),
    markup: str = "read",
) -> ScriptReading:
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
        builder = parse_ssml(source, markup)
    elif kind == "srt":
        builder = parse_srt(source, speakers, markup)
    else:
        builder = parse_markup(source, speakers, markup)
    if not any(isinstance(item, Speech) for item in builder.items):
        raise TextError("the script says nothing; write at least one word")
    return ScriptReading(tuple(builder.items), tuple(builder.left_out))


def parse_script(
    source: str,
    format: str | None = None,
    speakers: Collection[str] = (),
    markup: str = "read",
) -> tuple[ScriptItem, ...]:
    """The items of `read_script`."""
    return read_script(source, format, speakers, markup).items
