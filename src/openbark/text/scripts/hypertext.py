"""HTML to script items: its text with the pauses of its blocks, without tags, scripts and styles.

Reads with the standard library's parser, which accepts anything. Names that HTML does not know are text, so that
"<Fireball>" is not lost. Knows no Markdown.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from openbark.text.left_out import LeftOut
from openbark.text.scripts.items import ScriptItem
from openbark.text.scripts.markup import ItemBuilder
from openbark.text.split.pieces import Boundary

_BLOCKS = frozenset(
    (
        "p div section article header footer main aside nav h1 h2 h3 h4 h5 h6 blockquote pre table ul ol dl figure form "
        "fieldset address hr body html center details"
    ).split()
)
_LINES = frozenset("br li tr dt dd option caption figcaption summary legend label button".split())
_SILENT = frozenset("script style template head noscript rt rp datalist object svg canvas".split())
_INLINE = frozenset(
    (
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark meter nobr output progress q ruby rb "
        "s samp small span strike strong sub sup time tt u var wbr img input link meta title base area map param source "
        "track thead tbody tfoot td th col colgroup textarea select optgroup picture audio video iframe embed"
    ).split()
)
KNOWN_TAGS = _BLOCKS | _LINES | _SILENT | _INLINE
"""Names of HTML's elements."""

_UNSPOKEN = frozenset("audio video iframe embed object svg canvas".split())
_SUPER = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
_SUB = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SPACE = re.compile(r"\s")
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_ANY_BLOCK = re.compile(rf"<(?:{'|'.join(sorted(_BLOCKS | _LINES))})\b", re.IGNORECASE)


def parse_html(source: str) -> ItemBuilder:
    """Items of an HTML document, in a builder that also lists what was left out."""
    builder = ItemBuilder()
    HtmlReader(builder, source, 0, len(source)).read()
    builder.flush(Boundary.PARAGRAPH)
    return builder


class HtmlReader(HTMLParser):
    """The parser's events on [start, stop) of a source, into a builder."""

    def __init__(self, builder: ItemBuilder, source: str, start: int, stop: int) -> None:
        super().__init__(convert_charrefs=False)
        self._builder = builder
        self._source = source
        self._start, self._stop = start, stop
        self._written = source[start:stop]
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", self._written))]
        # Where nothing makes blocks, line ends mean what they mean in plain text.
        self._has_blocks = _ANY_BLOCK.search(self._written) is not None
        self._silent: list[str] = []
        self._raised: list[str] = []
        self._numbers: list[int | None] = []
        self._in_pre = 0
        self._row_has_cells = False

    def read(self) -> list[ScriptItem]:
        """The items so far; the last speech is still open."""
        self.feed(self._written)
        self.close()
        return self._builder.items

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that opens."""
        if tag not in KNOWN_TAGS and "-" not in tag and ":" not in tag:
            self._text(self.get_starttag_text() or "")
            return
        if tag in _UNSPOKEN:
            self._builder.left_out.append(LeftOut(f"<{tag}>", "is not text"))
        if tag in _SILENT:
            self._silent.append(tag)
        elif not self._silent:
            self._open(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that opens and closes."""
        self.handle_starttag(tag, attrs)
        if tag in _SILENT:
            self._silent.pop()

    def handle_endtag(self, tag: str) -> None:
        """A tag that closes."""
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif self._silent:
            return
        elif tag not in KNOWN_TAGS and "-" not in tag and ":" not in tag:
            self._text(f"</{tag}>")
        else:
            self._close(tag)

    def handle_data(self, data: str) -> None:
        """Text."""
        self._text(data)

    def handle_entityref(self, name: str) -> None:
        """A named character."""
        self._text(html.unescape(f"&{name};"), exact=False)

    def handle_charref(self, name: str) -> None:
        """A numbered character."""
        self._text(html.unescape(f"&#{name};"), exact=False)

    def _open(self, tag: str, attributes: dict[str, str | None]) -> None:
        builder = self._builder
        if tag in _BLOCKS:
            builder.flush(Boundary.PARAGRAPH)
        elif tag in _LINES:
            builder.flush(Boundary.SENTENCE)
        if tag in ("ul", "ol"):
            self._numbers.append(_start_of(attributes) if tag == "ol" else None)
        elif tag == "li" and self._numbers and self._numbers[-1] is not None:
            number = self._numbers[-1]
            builder.insert(f"{number}. ", self._position())
            self._numbers[-1] = number + 1
        elif tag in ("sub", "sup"):
            self._raised.append(tag)
        elif tag == "pre":
            self._in_pre += 1
        elif tag == "tr":
            self._row_has_cells = False
        elif tag in ("td", "th"):
            if self._row_has_cells:
                builder.insert(", ", self._position())
            self._row_has_cells = True
        elif tag == "img" and (attributes.get("alt") or "").strip():
            builder.insert(f" {attributes['alt']} ", self._position())
        elif tag == "img":
            builder.left_out.append(LeftOut("<img>", "a picture without a description"))
        elif tag == "q":
            builder.insert('"', self._position())

    def _close(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._builder.flush(Boundary.PARAGRAPH)
        elif tag in _LINES:
            self._builder.flush(Boundary.SENTENCE)
        if tag in ("ul", "ol") and self._numbers:
            self._numbers.pop()
        elif tag in ("sub", "sup") and self._raised:
            self._raised.pop()
        elif tag == "pre":
            self._in_pre = max(0, self._in_pre - 1)
        elif tag == "q":
            self._builder.insert('"', self._position())

    def _text(self, data: str, exact: bool = True) -> None:
        if self._silent:
            return
        position = self._position()
        if self._raised:
            data = data.translate(_SUPER if self._raised[-1] == "sup" else _SUB)
        if self._in_pre or not self._has_blocks:
            self._add_paragraphs(data, position)
            return
        plain = _SPACE.sub(" ", data)
        if exact:
            self._builder.add(plain, position)
        else:
            self._builder.insert(plain, position)

    def _add_paragraphs(self, data: str, position: int) -> None:
        start = 0
        for match in _BLANK.finditer(data):
            self._builder.add(data[start : match.start()], position + start)
            self._builder.flush(Boundary.PARAGRAPH)
            start = match.end()
        self._builder.add(data[start:], position + start)

    def _position(self) -> int:
        line, column = self.getpos()
        return self._start + min(self._line_starts[line - 1] + column, len(self._written) - 1)


def _start_of(attributes: dict[str, str | None]) -> int:
    written = attributes.get("start") or "1"
    return int(written) if written.isdecimal() and len(written) < 10 else 1
