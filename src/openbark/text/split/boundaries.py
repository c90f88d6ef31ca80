"""Where a text may be cut: ends of paragraphs, sentences and clauses, each with its strength.

One pass over the punctuation. Knows no budget; cuts between words and inside them are `openbark.text.split.cuts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from openbark.text.split.full_stops import Following, ends_with_full_stop
from openbark.text.split.levels import Level
from openbark.text.split.lines import LineEnds
from openbark.text.split.quotations import Stretches, protected_stretches, quoted_stretches
from openbark.text.split.sentence_words import SENTENCE_WORDS, SentenceWords

__all__ = ["Cut", "TextMap", "map_text"]


@dataclass(frozen=True, slots=True)
class Cut:
    """A place before `position` where the text may be cut."""

    position: int
    level: Level


@dataclass(frozen=True, slots=True)
class TextMap:
    """A text with its cuts of CLAUSE and stronger (and those punctuation marks inside stretches), in order: found as
    they are asked for, once."""

    text: str
    language: str
    cuts: Iterator[Cut]
    protected: Stretches


_ENDS = ".!?…。！？｡．।॥؟"
_POINT = re.compile(
    r"(?P<end>\.(?: \.)++|[.!?…。！？｡．।॥؟]++)"
    r"|(?P<clause>[,;:،、，；：]++|[—–]++|(?<=\s)-++(?=\s))"
    r"|(?P<paragraph>\n\s*\n|[\u2029\f])"
    r"|(?P<line>\n|\r(?!\n))"
)
_CLOSERS = re.compile(r"(?:[\"'”’“»)\]」』】》›）]|\[\d{1,3}\]|[ \u00a0\u202f]»(?=[\s.,;:]|$))*+")
_QUOTES = frozenset('"”’“»」』')
_WIDE = frozenset("。！？｡．")
_WIDE_CLAUSE = frozenset("、，；：—–")
_IDEOGRAPHIC = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
# After a closing quote the sentence goes on: Japanese particles, Chinese verbs of saying close by.
_GOES_ON_JA = re.compile(r"[とっをがはにのもだなでへか]")
_GOES_ON_ZH = re.compile(r"[\u4e00-\u9fff]{0,4}?[说道问喊叫答想説說問話]")
_SAID = re.compile(r"\s+[A-Z]\w{0,30}\s+(?:said|asked|cried|replied|shouted|whispered|answered)\b")
_NO_CASE_SAMPLE = 4000


def map_text(text: str, language: str) -> TextMap:
    """Find every cut of `text` by the rules of `language` (a key of SENTENCE_WORDS)."""
    protected = protected_stretches(text)
    cuts = _Scan(text, language, protected, quoted_stretches(text)).cuts()
    return TextMap(text, language, cuts, protected)


class _Scan:
    """One pass over the punctuation of a text."""

    def __init__(self, text: str, language: str, protected: Stretches, quoted: Stretches) -> None:
        self._text = text
        self._language = language
        self._words: SentenceWords = SENTENCE_WORDS[language]
        self._protected = protected
        self._quoted = quoted
        self._has_case = any(letter.isupper() for letter in text[:_NO_CASE_SAMPLE])
        self._sentence_start = 0
        self._lines = LineEnds(text, self._words.never)

    def cuts(self) -> Iterator[Cut]:
        """All cuts, in order."""
        for match in _POINT.finditer(self._text):
            cut = self._cut(match)
            if cut is not None:
                if cut.level >= Level.SENTENCE:
                    self._sentence_start = cut.position
                yield cut

    def _cut(self, match: re.Match[str]) -> Cut | None:
        kind = match.lastgroup
        if kind == "paragraph":
            return Cut(match.end(), Level.PARAGRAPH)
        level: Level | None
        if kind == "line":
            level = self._lines.level(match.start(), match.end())
            position = match.end()
        else:
            position = self._after_closers(match.end())
            if kind == "clause":
                level = self._clause(match, position)
            else:
                level = self._sentence(match, position)
        if level is None:
            return None
        if self._protected.cuts(position):
            return Cut(position, Level.INNER)
        if level is Level.SENTENCE and kind != "line" and self._quoted.cuts(position):
            level = Level.QUOTED
        return Cut(position, level)

    def _after_closers(self, position: int) -> int:
        """Past the quotes, brackets and footnotes that close at `position`, and the note that ends lyrics."""
        closers = _CLOSERS.match(self._text, position)
        end = closers.end() if closers else position
        for at in range(position, end):
            if self._quoted.begins(at):
                return at
        lyrics = self._protected.around(position)
        if lyrics is not None and self._text[end : lyrics[1]].strip() == "♪":
            return lyrics[1]
        return end

    def _clause(self, match: re.Match[str], after: int) -> Level | None:
        text = self._text
        is_wide = match.group()[-1] in _WIDE_CLAUSE
        return Level.CLAUSE if is_wide or text[after : after + 1].isspace() else None

    def _sentence(self, match: re.Match[str], after: int) -> Level | None:
        """How strong the end mark at `match` is, closing quotes up to `after`."""
        text, mark = self._text, match.group()
        before = text[match.start() - 1 : match.start()] if match.start() else ""
        by_ideographs = _IDEOGRAPHIC.match(before) is not None
        is_wide = mark[-1] in _WIDE or (mark[-1] in "!?" and by_ideographs)
        if mark[-1] == "…" and by_ideographs:
            return Level.CLAUSE
        if not is_wide and mark[-1] not in "।॥؟" and text[after : after + 1].strip():
            return None
        following = Following.at(text, after, self._has_case)
        if following.is_end:
            return Level.SENTENCE
        if following.is_caseless and self._goes_on(match.end(), after):
            return Level.CLAUSE
        if is_wide or mark[-1] in "।॥؟":
            return Level.SENTENCE
        if "!" in mark or "?" in mark:
            said = self._closes_quote(match.end(), after) and _SAID.match(text, after)
            return Level.CLAUSE if following.is_lower or said else Level.SENTENCE
        if len(mark) > 1 or mark == "…":
            goes_on = self._language == "en" and following.word in ("i", "i'm")
            return Level.SENTENCE if following.is_upper and not goes_on else Level.CLAUSE
        if self._closes_quote(match.end(), after) and _SAID.match(text, after):
            return Level.CLAUSE
        return self._full_stop(match.start(), following)

    def _full_stop(self, position: int, following: Following) -> Level | None:
        begin = max(self._sentence_start, position - 40)
        ends = ends_with_full_stop(
            self._text[begin:position],
            following,
            self._language,
            self._words,
            starts_sentence=begin == self._sentence_start,
        )
        if ends:
            return Level.SENTENCE
        # An unknown abbreviation, or somebody who writes no capitals: cut only where it must be.
        return Level.CLAUSE if following.is_lower and ends is None else None

    def _closes_quote(self, start: int, stop: int) -> bool:
        return not _QUOTES.isdisjoint(self._text[start:stop])

    def _goes_on(self, start: int, stop: int) -> bool:
        """Whether a sentence in a script without capitals goes on after marks that close at [start, stop)."""
        text = self._text
        closed = self._quoted.around(start)
        if closed is None or closed[1] > stop or not text[start:stop].strip():
            return False
        opens_sentence = not text[self._sentence_start : closed[0]].strip()
        if text[closed[0]] in "《【":
            return True
        if text[closed[0]] in "(（":
            return not opens_sentence
        if self._language == "ja":
            return _GOES_ON_JA.match(text, stop) is not None
        if self._language == "zh":
            return opens_sentence and _GOES_ON_ZH.match(text, stop) is not None
        return opens_sentence
