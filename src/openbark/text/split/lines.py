"""Whether a line end is a pause: between lines of a list, a verse or a chat it is, inside a wrapped sentence it is not.

Knows no other punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from openbark.text.split.full_stops import Following
from openbark.text.split.levels import Level

__all__ = ["LineEnds"]

_ITEM = re.compile(r"\s*(?:[-–—•*·▪‣◦]\s|\d{1,3}[.)]\s|[a-z][.)]\s|\(\w{1,3}\)\s)")
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*(?:\n|\Z)|[\u2029\f]|\Z")
_LINE_BREAK = re.compile(r"\n|\r(?!\n)")
_ENDED = re.compile(r"[.!?…:;。！？।॥][\"'”’“»)\]」』*_]{0,4}\s*\Z")
# Lines of this many characters are where editors and mail programs wrap.
_WRAPPED_AT = 30
_FEW_WORDS = 2
_MIN_LINES = 3


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines up to the next blank one: [.., stop). is_wrapped: some line ends inside a sentence; is_list: each line is
    only a word or two, after one that may introduce them; width: of the longest line."""

    stop: int
    width: int
    is_wrapped: bool
    is_list: bool


class LineEnds:
    """The line ends of one text, asked for in order. never: abbreviations that no sentence ends with."""

    def __init__(self, text: str, never: Collection[str]) -> None:
        self._text = text
        self._never = never
        self._block = _Block(-1, 0, False, False)

    def level(self, start: int, stop: int) -> Level | None:
        """How strong the line end at [start, stop) is; None where it is only a space."""
        text = self._text
        if _ITEM.match(text, stop):
            return Level.LINE
        following = Following.at(text, stop)
        if following.is_end:
            return None
        if stop > self._block.stop:
            self._block = self._read_block(start)
        before = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
        line = text[before:start]
        if line.endswith(".") and line[-20:-1].rpartition(" ")[2].lower() in self._never:
            return None
        if _ENDED.search(line[-12:]):
            return Level.LINE
        if self._block.is_list and self._block.is_wrapped:
            return Level.LINE
        if following.is_lower:
            return None
        if following.is_caseless:
            return Level.CLAUSE
        is_full = len(line) >= max(_WRAPPED_AT, 0.7 * self._block.width)
        return None if self._block.is_wrapped and is_full else Level.LINE

    def _read_block(self, position: int) -> _Block:
        """The block that the line before `position` is in, from that line on."""
        text = self._text
        found = _PARAGRAPH_END.search(text, position + 1)
        stop = found.start() if found else len(text)
        begin = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
        lines = [line.strip() for line in _LINE_BREAK.split(text[begin:stop])]
        lines = [line for line in lines if line]
        small = [line for line in lines[1:] if line[:1].islower()]
        few = [len(line.split()) <= _FEW_WORDS for line in lines]
        is_list = len(lines) >= _MIN_LINES and all(few[1:]) and (few[0] or lines[0].endswith(":"))
        width = max((len(line) for line in lines), default=0)
        return _Block(stop, width, bool(small), is_list)
