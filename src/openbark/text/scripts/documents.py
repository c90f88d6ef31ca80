"""A text in the format it is written in to script items: plain text, Markdown, HTML; subtitles and SSML are recognised.

Knows no voices and no model. What has no sound is listed, not lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

from openbark.errors import ParamError, TextError
from openbark.text.left_out import LeftOut, refuse_left_out
from openbark.text.scripts.hypertext import parse_html
from openbark.text.scripts.items import ScriptItem, Speech
from openbark.text.scripts.markdown import parse_markdown
from openbark.text.scripts.read import read_script
from openbark.text.split.pieces import Boundary

INPUT_FORMATS = MappingProxyType(
    {
        "auto": "what the text plainly is: Markdown, HTML, SubRip or WebVTT subtitles, SSML, else plain text",
        "text": "plain text, as it stands",
        "markdown": "Markdown (CommonMark, tables, strikethrough)",
        "html": "HTML",
    }
)
"""Formats by name, with what each is."""

FORMATS_BY_SUFFIX = MappingProxyType(
    {
        ".md": "markdown",
        ".markdown": "markdown",
        ".mdown": "markdown",
        ".html": "html",
        ".htm": "html",
        ".xhtml": "html",
        ".srt": "srt",
        ".vtt": "srt",
        ".ssml": "ssml",
    }
)
"""What a file holds by the end of its name, in lower case."""

_LOOKED_AT = 20_000
_TIMES = r"(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}[^\S\n]*-->"
_SUBTITLES = re.compile(
    rf"\ufeff?\s*(?:WEBVTT(?:\s|\Z)|(?:\d{{1,9}}[^\S\n]*\r?\n)?[^\S\n]*{_TIMES})"
)
_SSML = re.compile(r"\ufeff?\s*(?:<\?xml[^>]{0,200}>\s*)?<speak[\s>]")
_HTML = re.compile(
    r"\A\s*<(?:!doctype html|html)\b"
    r"|</(?:p|div|b|i|u|em|strong|span|a|h[1-6]|ul|ol|li|table|td|th|body|blockquote|sub|sup|code|pre|small|font|q)\s*>"
    r"|<(?:br|hr|p|img)\b[^<>]{0,500}>",
    re.IGNORECASE,
)
_WHOLE_HTML = re.compile(r"\A\s*<(?:!doctype html|html|body|p|div|h1|ul|ol|table)\b", re.IGNORECASE)
_MARKDOWN = re.compile(
    r"^ {0,3}\#{1,6}[ ]+\S"
    r"|^ {0,3}(?:```|~~~)"
    r"|(?<![\w*\\])\*\*(?=[^\s*])[^\n]{1,300}?(?<=\S)\*\*(?![\w*])"
    r"|(?<![\w*\\])\*(?=[^\s*])[^*\n]{1,300}(?<=[^\s*])\*(?![\w*])"
    r"|(?<![\w\\])__?(?=[^\s_])[^_\n]{1,300}(?<=[^\s_])__?(?!\w)"
    r"|\[[^\[\]\n]{0,300}\]\((?![\s)])[^()\s]{1,500}(?:\s\"[^\"\n]{0,200}\")?\)"
    r"|^[ ]{0,3}(?P<rule>[*_-])[ \t]*(?:(?P=rule)[ \t]*){2,}$"
    r"|^ {0,3}>[ ]?\S"
    r"|^ {0,3}\|?[ ]*:?-{2,}:?[ ]*\|[ :|-]{0,200}$"
    r"|`[^`\n]{1,200}`"
    r"|~~[^~\n]{1,200}~~"
    r"|^ {0,3}[-*+] +\S[^\n]{0,500}\n(?:[^\S\n]*\n)?^ {0,3}[-*+] +\S",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Document:
    """What is to be spoken, and the format it was read in. left_out: what the format has no sound for."""

    items: tuple[ScriptItem, ...]
    format: str
    left_out: tuple[LeftOut, ...] = ()


def format_of_file(path: PurePath | None) -> str | None:
    """The format that the end of a file's name tells; None for another name, or no file."""
    return None if path is None else FORMATS_BY_SUFFIX.get(path.suffix.lower())


def detect_format(text: str) -> str:
    """ "markdown", "html", "srt" or "ssml" where the beginning of a text plainly is that, else "text"."""
    sample = text[:_LOOKED_AT]
    if _SUBTITLES.match(sample):
        return "srt"
    if _SSML.match(sample):
        return "ssml"
    if _WHOLE_HTML.match(sample):
        return "html"
    if _MARKDOWN.search(sample):
        return "markdown"
    return "html" if _HTML.search(sample) else "text"


def read_document(
    text: str,
    input_format: str = "auto",
    strict: bool = False,
    language: str | None = None,
) -> Document:
    """Read `text`. input_format: a key of INPUT_FORMATS, or of the formats of scripts "srt" and "ssml".

    strict: refuse what would be passed over. Raises TextError, ParamError.
    """
    if input_format not in (*INPUT_FORMATS, "srt", "ssml"):
        raise ParamError(
            f"{input_format!r} is not an input format; allowed: {', '.join(INPUT_FORMATS)}"
        )
    kind = detect_format(text) if input_format == "auto" else input_format
    if kind in ("srt", "ssml"):
        script = read_script(text, kind, (), "error" if strict else "read")
        return Document(script.items, kind, script.left_out)
    if kind == "text":
        return Document((Speech(text, language=language, boundary=Boundary.END),), kind)
    if kind == "html":
        builder = parse_html(text)
    else:
        builder = parse_markdown(text, plainly=input_format == "auto")
    left_out = tuple(builder.left_out)
    if strict:
        refuse_left_out(left_out)
    if not any(isinstance(item, Speech) for item in builder.items):
        raise TextError(f"the {kind} holds no text; write at least one word")
    return Document(tuple(builder.items), kind, left_out)
