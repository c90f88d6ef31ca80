"""Markdown to script items: its text with the pauses of headings, lists, tables and scene breaks, without its marks.

Parsed by markdown-it-py, which is imported when it is needed. HTML inside is read by `openbark.text.scripts.hypertext`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from openbark.text.left_out import LeftOut
from openbark.text.scripts.hypertext import KNOWN_TAGS, HtmlReader
from openbark.text.scripts.items import Speech
from openbark.text.scripts.markup import ItemBuilder
from openbark.text.split.pieces import Boundary

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

SCENE_BREAK_SECONDS = 1.2
"""Silence in the place of a line such as `* * *`."""

_FRONT_MATTER = re.compile(r"\A---[^\S\n]*\n(?:[^\n]*\n)*?---[^\S\n]*(?:\n|\Z)")
_TASK = re.compile(r"\[[ xX]\] +")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,60}\](?:: ?)?")
_TAG_NAME = re.compile(r"</?\s*([A-Za-z][\w-]*)")
# What people type as plain text is not meant as code by its indent, nor as a list of link targets.
_ONLY_IN_FILES = ["code", "reference", "lheading"]


def parse_markdown(source: str, plainly: bool = False) -> ItemBuilder:
    """Items of a Markdown document, in a builder that also lists what was left out.

    plainly: the text was only seen to be Markdown, so its line ends keep their meaning and its indents have none.
    """
    reader = _Reader(source, plainly)
    reader.read()
    return reader.builder


class _Reader:
    """The parser's tokens to items; the parser tells lines, the place inside a line is searched for."""

    def __init__(self, source: str, plainly: bool) -> None:
        self.builder = ItemBuilder()
        self._source = source
        self._plainly = plainly
        lines = source.split("\n")
        self._line_starts = [0, *accumulate(len(line) + 1 for line in lines)]
        self._cursor = 0
        self._stop = len(source)
        self._lists = 0
        self._cells = 0
        self._pending_number = ""

    def read(self) -> None:
        text = self._source.replace("\0", " ").replace("\r", " ")
        front = None if self._plainly else _FRONT_MATTER.match(text)
        if front is not None:
            self.builder.left_out.append(LeftOut("the front matter", "is not part of the text"))
            # Blank lines in its place keep the numbers of lines.
            text = "\n" * front.group().count("\n") + text[front.end() :]
        for token in _parser(self._plainly).parse(text):
            self._block(token)
        self.builder.flush(Boundary.PARAGRAPH)

    def _block(self, token: Token) -> None:
        kind, builder = token.type, self.builder
        if token.map is not None:
            self._cursor = max(self._cursor, self._line_starts[token.map[0]])
            self._stop = self._line_starts[min(token.map[1], len(self._line_starts) - 1)]
        if kind == "inline":
            self._inline(token.children or [])
        elif kind in ("fence", "code_block"):
            self._code(token.content)
        elif kind == "hr":
            builder.flush(Boundary.PARAGRAPH)
            if builder.items:
                builder.pause(SCENE_BREAK_SECONDS)
        elif kind == "html_block":
            start = self._cursor
            HtmlReader(builder, self._source, start, self._stop).read()
            self._cursor = self._stop
        elif kind == "list_item_open":
            self._pending_number = f"{token.info}. " if token.info else ""
        elif kind.endswith("_list_open"):
            self._lists += 1
        elif kind.endswith("_list_close"):
            self._end_list()
        elif kind in ("td_open", "th_open"):
            if self._cells:
                builder.insert(", ", self._cursor)
            self._cells += 1
        elif kind in ("tr_close", "list_item_close"):
            builder.flush(Boundary.SENTENCE)
            self._cells = 0
        elif kind in ("paragraph_close", "heading_close", "table_close", "blockquote_close"):
            builder.flush(Boundary.SENTENCE if self._lists else Boundary.PARAGRAPH)

    def _end_list(self) -> None:
        """A list is a paragraph, whatever its last line ends with."""
        self._lists -= 1
        items = self.builder.items
        if self._lists == 0 and items and isinstance(items[-1], Speech):
            items[-1] = replace(items[-1], boundary=Boundary.PARAGRAPH)

    def _code(self, content: str) -> None:
        self.builder.flush(Boundary.PARAGRAPH)
        for line in content.split("\n"):
            if line.strip():
                self._add(line)
                self.builder.flush(Boundary.SENTENCE)

    def _inline(self, tokens: list[Token]) -> None:
        if self._pending_number:
            self.builder.insert(self._pending_number, self._cursor)
            self._pending_number = ""
        raised = ""
        for token in tokens:
            kind = token.type
            if kind == "text":
                self._words(token.content, raised)
            elif kind == "text_special":
                self._add(token.content, token.markup)
            elif kind == "code_inline":
                self._add(token.content)
            elif kind == "softbreak":
                self._add("\n" if self._plainly else " ", "\n")
            elif kind == "hardbreak":
                self.builder.flush(Boundary.SENTENCE)
            elif kind == "image":
                self._picture(token)
            elif kind == "html_inline":
                raised = self._tag(token.content, raised)

    def _words(self, content: str, raised: str) -> None:
        if self._lists and not self.builder.has_words:
            content = _TASK.sub("", content, count=1) if _TASK.match(content) else content
        if not self._plainly:
            for mark in _FOOTNOTE.findall(content):
                self.builder.left_out.append(LeftOut(mark.strip(": "), "footnote mark"))
            content = _FOOTNOTE.sub("", content)
        if raised:
            table = "⁰¹²³⁴⁵⁶⁷⁸⁹" if raised == "sup" else "₀₁₂₃₄₅₆₇₈₉"
            content = content.translate(str.maketrans("0123456789", table))
        self._add(content)

    def _picture(self, token: Token) -> None:
        if token.content.strip():
            self._add(token.content)
        else:
            self.builder.left_out.append(LeftOut("![]()", "a picture without a description"))

    def _tag(self, written: str, raised: str) -> str:
        """Read a tag between words; the element that raises or lowers what follows, if one does."""
        found = _TAG_NAME.match(written)
        name = found[1].lower() if found else ""
        if found and name not in KNOWN_TAGS and "-" not in name:
            self._add(written)
        elif name == "br":
            self.builder.flush(Boundary.SENTENCE)
        elif name in ("sup", "sub"):
            return "" if written.startswith("</") else name
        return raised

    def _add(self, content: str, written: str | None = None) -> None:
        """Text that stands in the source as `written`, somewhere after the cursor."""
        written = written or content
        found = self._source.find(written, self._cursor, self._stop)
        position = found if found >= 0 else min(self._cursor, max(0, len(self._source) - 1))
        self.builder.add(content, position)
        self._cursor = position + len(written) if found >= 0 else self._cursor


def _parser(plainly: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    # Joined texts do not say where an escape or an entity stood.
    parser.disable(["text_join", *(_ONLY_IN_FILES if plainly else [])])
    return parser
