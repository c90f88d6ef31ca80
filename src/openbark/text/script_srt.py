"""SubRip subtitles read into timed script items: each cue is to start at its time.

Cues may hold the markup of `openbark.text.script_markup`. Knows nothing of audio; what a cue overruns is
found when it is spoken.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from openbark.errors import TextError
from openbark.text.script_items import ScriptItem, line_and_column
from openbark.text.script_markup import ItemBuilder, read_marked
from openbark.text.split import Boundary

__all__ = ["parse_srt"]

_TIME = r"(\d{1,3}):(\d{2}):(\d{2})[,.](\d{1,3})"
_TIMES = re.compile(rf"[^\S\n]*{_TIME}[^\S\n]*-->[^\S\n]*{_TIME}[^\n]*")
_LINE = re.compile(r"[^\n]*(?:\n|$)")
# Tags of subtitle players: <i>, </font>, {\an8}.
_STYLE = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")


def parse_srt(source: str, speakers: Collection[str], markup: str) -> list[ScriptItem]:
    """Items of a subtitle file; the numbers of the cues are not spoken.

    Raises TextError, with its place, where a cue has no times or goes back in time, and for unknown markup
    unless `markup` is "speak".
    """
    builder = ItemBuilder()
    position = 1 if source.startswith("\ufeff") else 0
    last_start = 0.0
    n_cues = 0
    while position < len(source):
        line = _line(source, position)
        if not line.strip():
            position += len(line)
            continue
        position = _skip_number(source, position)
        where = line_and_column(source, position)
        times = _TIMES.match(source, position)
        if times is None:
            raise TextError(
                f"{where}: expected the times of a cue, such as 00:00:01,000 --> 00:00:04,500, found "
                f"{_line(source, position).strip()[:40]!r}"
            )
        starts_at, stops_at = _seconds(times, 1), _seconds(times, 5)
        if starts_at < last_start or stops_at < starts_at:
            raise TextError(
                f"{where}: the cue goes back in time; cues are in order, start before stop"
            )
        last_start = starts_at
        start = times.end() + 1
        stop = _end_of_cue(source, start)
        _refuse_styles(source, start, stop, markup)
        builder.starts_at, builder.stops_at = starts_at, stops_at
        builder.voice = builder.speaker = None
        read_marked(builder, source, start, stop, speakers, markup)
        builder.flush(Boundary.SENTENCE)
        n_cues += 1
        position = max(stop, start)
    if n_cues == 0:
        raise TextError("the subtitles hold no cue")
    return builder.items


def _line(source: str, position: int) -> str:
    match = _LINE.match(source, position)
    return match.group() if match else ""


def _skip_number(source: str, position: int) -> int:
    line = _line(source, position)
    return position + len(line) if line.strip().isdigit() else position


def _end_of_cue(source: str, position: int) -> int:
    while position < len(source):
        line = _line(source, position)
        if not line.strip():
            break
        position += len(line)
    return position


def _seconds(match: re.Match[str], first: int) -> float:
    hours, minutes, seconds, fraction = (match[first + index] for index in range(4))
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")


def _refuse_styles(source: str, start: int, stop: int, markup: str) -> None:
    style = _STYLE.search(source, start, stop) if markup == "error" else None
    if style is not None:
        raise TextError(
            f"{line_and_column(source, style.start())}: unknown markup {style.group()}; remove it, or "
            "choose markup='speak' to have it said"
        )
