"""Plain text with `NAME: line` dialogue, `[pause:500ms]` and `[voice:x]`, read into script items.

Only names that are handed in are speakers: any other colon is prose. Tags of Bark's own stay in the text.
Knows no XML and no times.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from openbark.errors import TextError
from openbark.text.left_out import LeftOut
from openbark.text.scripts.items import (
    Pause,
    ScriptItem,
    Speech,
    boundary_after,
    line_and_column,
    read_duration,
)
from openbark.text.sound_tags import is_sound_tag
from openbark.text.split.pieces import Boundary

_TAG = r"\[(?P<tag>[^\[\]\n]{0,80})\]"
_LINE_END = re.compile(r"\n(?![^\S\n]*[-–—‐])")
_BLANK = r"(?P<blank>\n(?:[^\S\n]*+\n)++)"


class ItemBuilder:
    """Collects text until the voice, the pace or the place changes, then makes a Speech of it."""

    def __init__(self) -> None:
        self.items: list[ScriptItem] = []
        self.left_out: list[LeftOut] = []
        self.voice: str | None = None
        self.speaker: str | None = None
        self.rate = 1.0
        self.language: str | None = None
        # Lines of subtitles end where the picture does, unless another person's line follows.
        self.joins_lines = False
        self.starts_at: float | None = None
        self.stops_at: float | None = None
        self._parts: list[str] = []
        self._origins: list[tuple[int, int]] = []
        self._length = 0

    @property
    def has_words(self) -> bool:
        """Whether the speech so far is more than white space."""
        return any(part.strip() for part in self._parts)

    def add(self, text: str, source_position: int) -> None:
        """Text as it stands in the source from `source_position` on."""
        if self.joins_lines:
            text = _LINE_END.sub(" ", text)
        if text:
            self._origins.append((self._length, source_position))
            self._parts.append(text)
            self._length += len(text)

    def insert(self, text: str, source_position: int) -> None:
        """Text that does not stand in the source like this, in the place of the letter at `source_position`."""
        for letter in text:
            self.add(letter, source_position)

    def flush(self, boundary: Boundary | None = None) -> None:
        """End the speech so far; its last characters tell the boundary if it is not given."""
        text = "".join(self._parts)
        if text.strip():
            self.items.append(
                Speech(
                    text=text,
                    origins=tuple(self._origins),
                    voice=self.voice,
                    speaker=self.speaker,
                    rate=self.rate,
                    language=self.language,
                    boundary=boundary_after(text) if boundary is None else boundary,
                    starts_at=self.starts_at,
                    stops_at=self.stops_at,
                )
            )
            # Only the beginning of a cue has a time.
            self.starts_at = None
        self._parts, self._origins, self._length = [], [], 0

    def pause(self, seconds: float) -> None:
        """End the speech so far, then silence."""
        self.flush()
        self.items.append(Pause(seconds))


def parse_markup(source: str, speakers: Collection[str], markup: str) -> ItemBuilder:
    """Items of a script in plain text.

    A speaker's line lasts until the next speaker or a blank line; `[voice:x]` until `[/voice]`, another one,
    or a speaker. Raises TextError, with its place, for unknown markup where `markup` is "error".
    """
    builder = ItemBuilder()
    read_marked(builder, source, 0, len(source), speakers, markup)
    builder.flush()
    return builder


def read_marked(
    builder: ItemBuilder, source: str, start: int, stop: int, speakers: Collection[str], markup: str
) -> None:
    """Read [start, stop) of `source` into `builder`; see `parse_markup`."""
    position = start
    for match in _pattern(speakers).finditer(source, start, stop):
        kind = match.lastgroup
        if kind == "tag" and not _is_markup(source, match, markup):
            continue
        builder.add(source[position : match.start()], position)
        position = match.end()
        if kind == "speaker":
            builder.flush(_turn(source, match.start()))
            builder.speaker, builder.voice = match["speaker"], None
        elif kind == "blank":
            builder.add(match.group(), match.start())
            if builder.speaker is not None:
                builder.flush(Boundary.PARAGRAPH)
                builder.speaker = None
        else:
            _apply(builder, source, match)
    builder.add(source[position:stop], position)


def _pattern(speakers: Collection[str]) -> re.Pattern[str]:
    if not speakers:
        return re.compile(f"{_TAG}|{_BLANK}")
    names = "|".join(re.escape(name) for name in sorted(speakers, key=len, reverse=True))
    speaker = rf"^[^\S\n]*+(?P<speaker>{names})[^\S\n]*+[:：][^\S\n]*+"
    return re.compile(f"{speaker}|{_TAG}|{_BLANK}", re.MULTILINE)


def _turn(source: str, position: int) -> Boundary:
    """What ends before a speaker's name."""
    before = source[max(0, position - 200) : position]
    blank = before[len(before.rstrip()) :].count("\n") > 1
    return Boundary.PARAGRAPH if blank else Boundary.SENTENCE


def _is_markup(source: str, match: re.Match[str], markup: str) -> bool:
    """Whether brackets are an instruction. Raises TextError for unknown ones where `markup` is "error"."""
    written = match["tag"]
    name = written.partition(":")[0].strip().lower()
    if name in ("pause", "voice") and ":" in written:
        return True
    if written == "/voice":
        return True
    if is_sound_tag(written) or markup != "error":
        return False
    raise TextError(
        f"{line_and_column(source, match.start())}: unknown markup [{written}]; known: [pause:500ms], "
        "[voice:NAME], [/voice] and sounds such as [laughs]; write it without brackets, or choose "
        "markup='read' to have its words spoken"
    )


def _apply(builder: ItemBuilder, source: str, match: re.Match[str]) -> None:
    where = line_and_column(source, match.start())
    name, _, value = match["tag"].partition(":")
    if name.strip().lower() == "pause":
        builder.pause(read_duration(value, where))
        return
    builder.flush()
    voice = value.strip()
    if name != "/voice" and not voice:
        raise TextError(
            f"{where}: [voice:] names no voice; write [voice:NAME], or [/voice] to end one"
        )
    builder.voice = voice or None
