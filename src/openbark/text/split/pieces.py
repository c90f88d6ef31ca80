"""Any text to pieces that a model can say in one go, cut at the strongest boundary that keeps the budget.

Every character that is not white space is in exactly one piece, in order; time is linear in the text. Knows
no tokenizer (a counting function is handed in) and no voice.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain

from openbark.errors import ParamError, TextError
from openbark.text.language import check_language
from openbark.text.speech_length import running_seconds
from openbark.text.split.boundaries import Cut, TextMap, map_text
from openbark.text.split.cuts import character_cuts, inner_cuts, word_cuts
from openbark.text.split.levels import Level

CountTokens = Callable[[str], int]
"""Tokens that a model reads for a text."""

SPLITS = ("sentence", "packed")
"""One piece a sentence, or as many sentences of a line or a paragraph as the budget holds."""


class Boundary(StrEnum):
    """What ends with a piece. NONE: the budget cut inside a clause."""

    NONE = "none"
    CLAUSE = "clause"
    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"
    END = "end"


_BOUNDARY_OF = {
    Level.CLAUSE: Boundary.CLAUSE,
    Level.QUOTED: Boundary.SENTENCE,
    Level.SENTENCE: Boundary.SENTENCE,
    Level.LINE: Boundary.SENTENCE,
    Level.PARAGRAPH: Boundary.PARAGRAPH,
}


@dataclass(frozen=True, slots=True)
class Budget:
    """What a piece may hold.

    max_tokens: at most this many tokens; max_seconds: of expected speech; min_seconds: a shorter piece joins
    its neighbour in the same line or paragraph. pace: a model's seconds over those of `text.speech_length`.
    """

    max_tokens: int = 255
    max_seconds: float = 12.0
    min_seconds: float = 1.0
    pace: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int):
            raise ParamError(f"max_tokens must be a whole number, is {self.max_tokens!r}")
        if self.max_tokens < 1:
            raise ParamError(f"max_tokens is {self.max_tokens}; allowed: 1 or more")
        for name in ("max_seconds", "pace"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ParamError(f"{name} is {value}; allowed: more than 0")
        if not 0 <= self.min_seconds <= self.max_seconds:
            raise ParamError(
                f"min_seconds is {self.min_seconds}; allowed: 0 to max_seconds ({self.max_seconds})"
            )


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch [start, stop) of the text, without white space around it, and what ends with it.

    seconds: expected duration. n_tokens: as the counting function says; more than the budget only where a
    single character has more.
    """

    text: str
    start: int
    stop: int
    boundary: Boundary
    seconds: float
    n_tokens: int


def split_text(
    text: str,
    count_tokens: CountTokens,
    budget: Budget | None = None,
    language: str | None = None,
    split: str = "sentence",
) -> tuple[Piece, ...]:
    """Cut `text` into pieces within `budget`.

    language: a code of `text.split.sentence_words.LANGUAGES`, or None to guess. split: one of SPLITS.
    Raises TextError for a text without a character, ParamError for an unknown language or split, and what
    `count_tokens` raises.
    """
    return tuple(iter_pieces(text, count_tokens, budget, language, split))


def iter_pieces(
    text: str,
    count_tokens: CountTokens,
    budget: Budget | None = None,
    language: str | None = None,
    split: str = "sentence",
) -> Iterator[Piece]:
    """`split_text`, each piece worked out when it is asked for; a paragraph at a time is read ahead.

    Raises at once what is wrong with the arguments, and with the pieces what `count_tokens` raises.
    """
    if split not in SPLITS:
        raise ParamError(f"unknown split {split!r}; allowed: {', '.join(SPLITS)}")
    if not text.strip():
        raise TextError("the text holds only white space; write at least one word")
    found = map_text(text, check_language(language, text))
    splitter = _Splitter(found, count_tokens, budget or Budget())
    return splitter.pieces(packed=split == "packed")


def has_lines(text: str, language: str | None = None) -> bool:
    """Whether a text has a pause between lines or paragraphs."""
    found = map_text(text, check_language(language, text))
    return any(
        cut.level >= Level.LINE and text[: cut.position].strip() and text[cut.position :].strip()
        for cut in found.cuts
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """[start, stop) and how strong the cut after it is."""

    start: int
    stop: int
    level: Level


class _Splitter:
    """The pieces of one text."""

    def __init__(self, found: TextMap, count_tokens: CountTokens, budget: Budget) -> None:
        self._map = found
        self._text = found.text
        self._count = count_tokens
        self._budget = budget
        self._running = running_seconds(found.text)
        self._seen_cuts: list[Cut] = []
        self._seen_positions: list[int] = []

    def pieces(self, packed: bool) -> Iterator[Piece]:
        last: _Stretch | None = None
        for stretch in self._join_short(self._stretches(packed)):
            if last is not None:
                yield self._piece(last)
            last = stretch
        if last is not None:
            yield replace(self._piece(last), boundary=Boundary.END)

    def _stretches(self, packed: bool) -> Iterator[_Stretch]:
        for paragraph in self._paragraphs():
            if packed:
                for line in self._divide(paragraph, Level.LINE):
                    yield from self._fill(line, Level.SENTENCE)
            else:
                for sentence in self._divide(paragraph, Level.SENTENCE):
                    yield from self._fill(sentence, Level.QUOTED)

    def _paragraphs(self) -> Iterator[_Stretch]:
        """Each paragraph, once every cut in it was seen."""
        start = 0
        for cut in chain(self._map.cuts, [Cut(len(self._text), Level.PARAGRAPH)]):
            self._seen_cuts.append(cut)
            self._seen_positions.append(cut.position)
            if cut.level is Level.PARAGRAPH:
                paragraph = self._trim(start, cut.position, Level.PARAGRAPH)
                start = cut.position
                if paragraph.start < paragraph.stop:
                    yield paragraph

    def _piece(self, stretch: _Stretch) -> Piece:
        said = self._text[stretch.start : stretch.stop]
        return Piece(
            text=said,
            start=stretch.start,
            stop=stretch.stop,
            boundary=_BOUNDARY_OF.get(stretch.level, Boundary.NONE),
            seconds=self._seconds(stretch.start, stretch.stop),
            n_tokens=self._count(said),
        )

    def _seconds(self, start: int, stop: int) -> float:
        return (self._running[stop] - self._running[start]) * self._budget.pace

    def _fits(self, start: int, stop: int) -> bool:
        if self._seconds(start, stop) > self._budget.max_seconds:
            return False
        said = self._text[start:stop].strip()
        return not said or self._count(said) <= self._budget.max_tokens

    def _trim(self, start: int, stop: int, level: Level) -> _Stretch:
        while start < stop and self._text[start].isspace():
            start += 1
        while stop > start and self._text[stop - 1].isspace():
            stop -= 1
        return _Stretch(start, stop, level)

    def _cuts(self, start: int, stop: int, level: Level) -> list[tuple[int, Level]]:
        """Places inside (start, stop) where a cut of `level` or a stronger one may be."""
        if level is Level.ANYWHERE:
            return [(at, level) for at in range(start + 1, stop)]
        if level is Level.CHARACTER:
            return [(at, level) for at in character_cuts(self._text, start, stop)]
        if level is Level.INNER:
            return [(at, level) for at in inner_cuts(self._text, start, stop)]
        if level is Level.WORD:
            words = word_cuts(self._text, start, stop, self._map.language, self._map.protected)
            return [(at, level) for at in words]
        first = bisect_right(self._seen_positions, start)
        last = bisect_left(self._seen_positions, stop)
        inside = self._seen_cuts[first:last]
        return [(cut.position, cut.level) for cut in inside if cut.level >= level]

    def _divide(self, stretch: _Stretch, level: Level) -> list[_Stretch]:
        """The parts between cuts of `level`; of cuts with nothing between, the strongest counts."""
        parts: list[_Stretch] = []
        start = stretch.start
        ends = [*self._cuts(stretch.start, stretch.stop, level), (stretch.stop, stretch.level)]
        for stop, strength in ends:
            part = self._trim(start, stop, strength)
            start = stop
            if part.start < part.stop:
                parts.append(part)
            elif parts and strength > parts[-1].level:
                parts[-1] = replace(parts[-1], level=strength)
        return parts

    def _fill(self, stretch: _Stretch, level: Level) -> list[_Stretch]:
        """`stretch` itself if it fits, else its parts, as few and as even as cuts of `level` and below allow."""
        if stretch.stop - stretch.start <= 1 or self._fits(stretch.start, stretch.stop):
            return [stretch]
        parts = self._divide(stretch, level)
        if len(parts) == 1:
            return self._fill(stretch, Level(level - 1)) if level else [stretch]
        filled: list[_Stretch] = []
        first = 0
        while first < len(parts):
            last = self._last_that_fits(parts, first)
            if last < first:
                filled += self._fill(parts[first], Level(level - 1)) if level else [parts[first]]
                last = first
            else:
                last = self._evener(parts, first, last)
                filled.append(_Stretch(parts[first].start, parts[last].stop, parts[last].level))
            first = last + 1
        return filled

    def _last_that_fits(self, parts: Sequence[_Stretch], first: int) -> int:
        """The last part that still fits with `first`; first - 1 if not even that one does."""
        start = parts[first].start
        end = self._running[start] + self._budget.max_seconds / self._budget.pace
        too_far = bisect_right(parts, end, first, key=lambda part: self._running[part.stop])
        low, high = first - 1, too_far - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(start, parts[middle].stop):
                low = middle
            else:
                high = middle - 1
        return low

    def _evener(self, parts: Sequence[_Stretch], first: int, last: int) -> int:
        """`last`, or an earlier part where the rest fits too and both come out more alike."""
        start, stop = parts[first].start, parts[-1].stop
        if last == len(parts) - 1 or not self._fits(parts[last + 1].start, stop):
            return last
        middle = (self._running[start] + self._running[stop]) / 2
        half = bisect_right(parts, middle, first, last, key=lambda part: self._running[part.stop])
        nearest = sorted(
            range(max(first, half - 1), last),
            key=lambda index: abs(self._running[parts[index].stop] - middle),
        )
        for even in nearest:
            if self._fits(parts[even + 1].start, stop):
                return even
        return last

    def _join_short(self, stretches: Iterable[_Stretch]) -> Iterator[_Stretch]:
        """Pieces too short to say alone join a neighbour of their line or paragraph; those without a word, any."""
        before: _Stretch | None = None
        for stretch in stretches:
            if before is None:
                before = stretch
            elif self._joins(before, stretch):
                before = _Stretch(before.start, stretch.stop, stretch.level)
            else:
                yield before
                before = stretch
        if before is not None:
            yield before

    def _joins(self, before: _Stretch, after: _Stretch) -> bool:
        least = self._budget.min_seconds
        too_short = (
            self._seconds(before.start, before.stop) < least
            or self._seconds(after.start, after.stop) < least
        )
        silent = not (self._has_word(before) and self._has_word(after))
        same_line = before.level < Level.LINE
        return ((too_short and same_line) or silent) and self._fits(before.start, after.stop)

    def _has_word(self, stretch: _Stretch) -> bool:
        return any(letter.isalnum() for letter in self._text[stretch.start : stretch.stop])
