"""Stretches of text that belong together: tags, lyrics, addresses and numbers; quotations and brackets.

Every pattern looks at each character a bounded number of times. Knows no sentences.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

_PROTECTED = re.compile(
    r"\[[^\[\]\n]{1,80}\]"
    r"|♪[^♪]{1,600}♪"
    r"|(?:https?://|ftp://|www\.)[!-~]+"
    r"|(?<![\w.+-])[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)++"
    r"|(?<!\d)\d{1,3}(?:[ \u00a0\u202f]\d{3}(?!\d))++(?:[.,]\d++)?"
    r"|(?<!\d)\d++(?:[.,:/'’．，：]\d++)++"
)
_AFTER_ADDRESS = ".,;:!?'\")]}"
_PAIRS = {
    "“": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "(": ")",
    "（": "）",
    '"': '"',
    "「": "」",
    "『": "』",
    "《": "》",
    "【": "】",
    "‹": "›",
}
_MARK = re.compile(r"[\"“”„«»()（）「」『』《》【】‹›]|\n\s*\n")
_OPENS_AFTER = " \t\n\u00a0\u202f\u3000([{«„“—–-'‘"


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches without overlap, in order: [starts[i], stops[i])."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]

    @classmethod
    def merge(cls, found: Iterable[tuple[int, int]]) -> Stretches:
        """Overlapping stretches become one."""
        starts: list[int] = []
        stops: list[int] = []
        for start, stop in sorted(found):
            if stops and start < stops[-1]:
                stops[-1] = max(stops[-1], stop)
            else:
                starts.append(start)
                stops.append(stop)
        return cls(tuple(starts), tuple(stops))

    def cuts(self, position: int) -> bool:
        """Whether a cut before `position` would divide a stretch."""
        index = bisect_right(self.starts, position) - 1
        return index >= 0 and self.starts[index] < position < self.stops[index]

    def around(self, position: int) -> tuple[int, int] | None:
        """The stretch [start, stop) that `position` lies in; None outside."""
        index = bisect_right(self.starts, position) - 1
        if index < 0 or position >= self.stops[index]:
            return None
        return self.starts[index], self.stops[index]

    def begins(self, position: int) -> bool:
        """Whether a stretch begins at `position`."""
        index = bisect_right(self.starts, position) - 1
        return index >= 0 and self.starts[index] == position


def protected_stretches(text: str) -> Stretches:
    """`[tags]`, lyrics between notes, addresses, numbers with separators."""
    found: list[tuple[int, int]] = []
    for match in _PROTECTED.finditer(text):
        start, stop = match.span()
        if text[start] in "hwf":
            stop = start + len(match.group().rstrip(_AFTER_ADDRESS))
        found.append((start, stop))
    return Stretches.merge(found)


def quoted_stretches(text: str) -> Stretches:
    """Quotations and brackets that close in their own paragraph, of each kind the outermost."""
    found: list[tuple[int, int]] = []
    open_at: dict[str, int] = {}
    for match in _MARK.finditer(text):
        mark, position = match.group(), match.start()
        if mark not in _PAIRS and len(mark) > 1:
            open_at.clear()
            continue
        opener = next((sign for sign in open_at if mark in _PAIRS[sign]), None)
        if mark == '"':
            looks_open = position == 0 or text[position - 1] in _OPENS_AFTER
            if looks_open and (opener is None or text[position + 1 : position + 2].isalnum()):
                open_at[mark] = position
                continue
        if opener is not None:
            found.append((open_at.pop(opener), match.end()))
        elif mark in _PAIRS and mark != '"':
            open_at[mark] = position
    return Stretches.merge(found)
