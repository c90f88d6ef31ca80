"""SubRip and WebVTT subtitles read into timed script items: each cue is to start at its time.

Styles have no sound and are dropped; descriptions of sounds such as [door slams] are left out with a notice. Cues may
hold the markup of `openbark.text.scripts.markup`. Knows nothing of audio; what a cue overruns is found when it is spoken.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from openbark.errors import TextError
from openbark.text.left_out import LeftOut
from openbark.text.scripts.items import line_and_column
from openbark.text.scripts.markup import ItemBuilder, read_marked
from openbark.text.sound_tags import is_sound_tag
from openbark.text.split.pieces import Boundary

MAX_HOURS = 24
"""A cue later than this is refused: its silence would fill the memory, and no film is so long."""

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[,.](\d{1,3})"
_TIMES = re.compile(rf"[^\S\n]*{_TIME}[^\S\n]*-->[^\S\n]*{_TIME}[^\n]*")
_LINE = re.compile(r"[^\n]*(?:\n|$)")
_HEADER = re.compile(r"\ufeff?WEBVTT(?=\s|\Z)")
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?=\s|\Z)")
# Tags of subtitle players: <i>, </font>, <v Anna>, <00:00:01.000>, {\an8}, {y:i}.
_STYLE = r"(?P<style></?[A-Za-z][^<>\n]{0,200}>|<[\d:.]{5,14}>|\{\\[^{}\n]{0,200}\}|\{[A-Za-z]:[^{}\n]{0,60}\})"
_SOUND = r"(?P<sound>\[(?P<words>[^\[\]\n]{0,80})\])"
_SPECIAL = re.compile(f"{_STYLE}|{_SOUND}")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+(?P<name>[^>]+)>")


def parse_srt(source: str, speakers: Collection[str], markup: str) -> ItemBuilder:
    """Items of a subtitle file, in a builder that also lists what was left out; numbers of cues are not spoken.

    Raises TextError, with its place, where a cue has no times, goes back in time or is later than MAX_HOURS, and for
    styles and unknown markup where `markup` is "error".
    """
    return _Reader(source, speakers, markup).read()


class _Reader:
    """One pass over the lines of a subtitle file."""

    def __init__(self, source: str, speakers: Collection[str], markup: str) -> None:
        self._source = source
        self._speakers = speakers
        self._markup = markup
        self._builder = ItemBuilder()
        self._builder.joins_lines = True
        self._last_start = 0.0

    def read(self) -> ItemBuilder:
        source = self._source
        position = 1 if source.startswith("\ufeff") else 0
        is_vtt = _HEADER.match(source) is not None
        if is_vtt:
            position = self._end_of_block(position)
        n_cues = 0
        while position < len(source):
            line = self._line(position)
            if not line.strip():
                position += len(line)
            elif is_vtt and _NO_CUE.match(line):
                position = self._end_of_block(position)
            else:
                position = self._cue(self._skip_name(position, is_vtt))
                n_cues += 1
        if n_cues == 0:
            raise TextError(
                "the subtitles hold no cue; write a time such as 00:00:01,000 --> 00:00:04,500 and a line"
            )
        return self._builder

    def _cue(self, position: int) -> int:
        """Read the cue whose times are at `position`; where it ends."""
        source, builder = self._source, self._builder
        where = line_and_column(source, position)
        times = _TIMES.match(source, position)
        if times is None:
            raise TextError(
                f"{where}: expected the times of a cue, such as 00:00:01,000 --> 00:00:04,500, found "
                f"{self._line(position).strip()[:40]!r}"
            )
        starts_at, stops_at = _seconds(times, 1), _seconds(times, 5)
        if starts_at < self._last_start or stops_at < starts_at:
            raise TextError(
                f"{where}: the cue goes back in time; cues are in order, start before stop"
            )
        if stops_at > MAX_HOURS * 3600:
            raise TextError(
                f"{where}: the cue is at {stops_at / 3600:.1f} hours; allowed: up to {MAX_HOURS} hours"
            )
        self._last_start = starts_at
        start = min(times.end() + 1, len(source))
        stop = self._end_of_block(start)
        builder.starts_at, builder.stops_at = starts_at, stops_at
        builder.voice = builder.speaker = None
        self._words(start, stop)
        builder.flush(Boundary.SENTENCE)
        return max(stop, start)

    def _words(self, start: int, stop: int) -> None:
        """The words of a cue, without styles and sounds."""
        position = start
        for match in _SPECIAL.finditer(self._source, start, stop):
            if self._is_kept(match):
                continue
            self._read(position, match.start())
            position = match.end()
            voice = _VOICE.match(match.group())
            if voice and voice["name"].strip() in self._speakers:
                self._builder.flush(Boundary.SENTENCE)
                self._builder.speaker = voice["name"].strip()
        self._read(position, stop)

    def _read(self, start: int, stop: int) -> None:
        read_marked(self._builder, self._source, start, stop, self._speakers, self._markup)

    def _is_kept(self, match: re.Match[str]) -> bool:
        """Whether a style or bracket goes to the reader of markup, which obeys, says or refuses it."""
        if match["style"] is not None:
            if self._markup == "error":
                raise TextError(
                    f"{line_and_column(self._source, match.start())}: unknown markup {match.group()}; remove it, or "
                    "choose markup='read' to drop it"
                )
            return self._markup == "speak"
        words = match["words"].strip()
        is_instruction = (
            words.partition(":")[0].strip().lower() in ("pause", "voice") or words == "/voice"
        )
        if self._markup != "read" or is_sound_tag(words) or is_instruction:
            return True
        self._builder.left_out.append(LeftOut(match.group(), "describes a sound"))
        return False

    def _line(self, position: int) -> str:
        match = _LINE.match(self._source, position)
        return match.group() if match else ""

    def _skip_name(self, position: int, is_vtt: bool) -> int:
        """Past the number of a cue; in WebVTT past any name of one."""
        line = self._line(position)
        after = position + len(line)
        names = line.strip().isdigit() or (
            is_vtt and "-->" not in line and _TIMES.match(self._source, after) is not None
        )
        return after if names else position

    def _end_of_block(self, position: int) -> int:
        while position < len(self._source):
            line = self._line(position)
            if not line.strip():
                break
            position += len(line)
        return position


def _seconds(match: re.Match[str], first: int) -> float:
    hours, minutes, seconds, fraction = (match[first + index] or "0" for index in range(4))
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")
