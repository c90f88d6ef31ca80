"""What a script asks for: speech with its voice and pace, and pauses. Every letter knows its place in the source.

Knows no format; `openbark.text.scripts.read` reads them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from openbark.errors import ParamError, TextError
from openbark.text.split.pieces import Boundary

MARKUPS = ("read", "speak", "error")
"""What to do with markup outside the subset: pass over it with one notice and speak the words in it ("read"), say the
markup itself as it is written ("speak"), or refuse the script ("error")."""

MAX_PAUSE_SECONDS = 60.0

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?|\.\d{1,6})\s?(ms|s)")
_SENTENCE_END = re.compile(r"[.!?…。！？।॥][\"'”’»)\]」』]{0,4}\s*$")
_CLAUSE_END = re.compile(r"[,;:、，；：—–]\s*$")


@dataclass(frozen=True, slots=True)
class Speech:
    """Text for one voice.

    origins: (position in `text`, position in the source) at the start of every run that both have in common.
    voice: name that markup gave; speaker: name of the dialogue line; None of either: the script's own voice.
    rate: speed, 1 as the model speaks. language: code for splitting, None to guess. boundary: what ends with
    it. starts_at, stops_at: seconds from the beginning, of a timed cue.
    """

    text: str
    origins: tuple[tuple[int, int], ...] = ((0, 0),)
    voice: str | None = None
    speaker: str | None = None
    rate: float = 1.0
    language: str | None = None
    boundary: Boundary = Boundary.PARAGRAPH
    starts_at: float | None = None
    stops_at: float | None = None
    _keys: tuple[int, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keys", tuple(position for position, _ in self.origins))

    def source_span(self, start: int, stop: int) -> tuple[int, int]:
        """Where [start, stop) of `text` stands in the source, from its first letter to behind its last."""
        return self._origin(start), self._origin(stop - 1) + 1

    def _origin(self, position: int) -> int:
        in_text, in_source = self.origins[bisect_right(self._keys, position) - 1]
        return in_source + position - in_text


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence of so many seconds, in the place of the pause that the punctuation would make."""

    seconds: float


ScriptItem = Speech | Pause


def check_markup(markup: str) -> str:
    """`markup` itself. Raises ParamError unless it is one of MARKUPS."""
    if markup not in MARKUPS:
        raise ParamError(f"unknown markup choice {markup!r}; allowed: {', '.join(MARKUPS)}")
    return markup


def line_and_column(source: str, position: int) -> str:
    """ "line 3, column 7" for an error message, both from 1."""
    line = source.count("\n", 0, position) + 1
    column = position - (source.rfind("\n", 0, position) + 1) + 1
    return f"line {line}, column {column}"


def read_duration(written: str, where: str) -> float:
    """Seconds of "500ms" or "1.5s". Raises TextError saying where."""
    match = _DURATION.fullmatch(written.strip())
    if match is None:
        raise TextError(f"{where}: {written!r} is not a duration; write 500ms or 1.5s")
    seconds = float(match[1]) / (1000.0 if match[2] == "ms" else 1.0)
    if seconds > MAX_PAUSE_SECONDS:
        raise TextError(f"{where}: a pause of {seconds:g} s; allowed: 0 to {MAX_PAUSE_SECONDS:g} s")
    return seconds


def boundary_after(text: str) -> Boundary:
    """What ends with `text`, by its last characters."""
    tail = text[-200:]
    if "\n" in tail[len(tail.rstrip()) :]:
        is_paragraph = tail[len(tail.rstrip()) :].count("\n") > 1
        return Boundary.PARAGRAPH if is_paragraph else Boundary.SENTENCE
    if _SENTENCE_END.search(tail):
        return Boundary.SENTENCE
    return Boundary.CLAUSE if _CLAUSE_END.search(tail) else Boundary.NONE
