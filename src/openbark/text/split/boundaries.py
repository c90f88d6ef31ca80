"""Whether a full stop ends a sentence, told from the words on both sides of it.

Knows only "." itself; other marks, quotes and lines are `openbark.text.split.boundaries`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from openbark.text.split.levels import Level
from openbark.text.split.quotations import Stretches, protected_stretches, quoted_stretches
from openbark.text.split.sentence_words import SENTENCE_WORDS, SentenceWords

_SKIPPED = "\"'“‘«»„(¿¡—–-♪*_…「『"
_FOLLOWING = re.compile(
    r"\s*+(?:[" + re.escape(_SKIPPED) + r"]++\s*+){0,4}+(?P<word>[^\W_]{0,40}+)(?P<dot>\.?)"
)
_ROMAN = re.compile(r"[IVXLC]+")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,4}\.-?)+[^\W\d_]{1,4}")
_DEVANAGARI_LETTERS = frozenset(
    "ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई ज़ेड जेड".split()
)
_STREET_DE = ("str", "pl")
_PREPOSITIONS = frozenset("in by since until on at from before after during for around".split())
_PHRASE_WORDS = 3
_MAX_ORDINAL_DIGITS = 2
_MAX_ITEM_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Following:
    """What comes after an end mark: the next word in lower case, and how it is written."""

    word: str
    is_lower: bool
    is_upper: bool
    is_number: bool
    is_initial: bool
    is_roman: bool
    is_caseless: bool
    is_end: bool

    @classmethod
    def at(cls, text: str, position: int, has_case: bool = True) -> Following:
        """Look past spaces and opening marks. has_case: False for scripts without capitals."""
        match = _FOLLOWING.match(text, position)
        word = match.group("word") if match else ""
        first = word[:1]
        return cls(
            word=word.lower().replace("\u0307", ""),
            is_lower=first.islower() and has_case,
            is_upper=first.isupper() or (first.islower() and not has_case),
            is_number=first.isdigit(),
            is_initial=len(word) == 1
            and first.isupper()
            and match is not None
            and bool(match["dot"]),
            is_roman=word != "I" and _ROMAN.fullmatch(word) is not None,
            is_caseless=first.isalpha() and first.lower() == first.upper(),
            is_end=match is not None and match.end() == len(text) and not word,
        )


def ends_with_full_stop(
    before: str,
    following: Following,
    language: str,
    words: SentenceWords,
    starts_sentence: bool,
) -> bool | None:
    """Whether the full stop after `before` ends a sentence; None where only a small letter speaks against it.

    before: the sentence so far, or its last 40 characters; starts_sentence tells which.
    """
    parts = before.split()
    token = parts[-1].lstrip(_SKIPPED + "[") if parts and not before[-1:].isspace() else ""
    word = token.lower().replace("\u0307", "")
    opens = following.word in words.openers and following.is_upper and not following.is_initial
    if not token:
        return None if following.is_lower else True
    if token.isdigit():
        is_item = starts_sentence and len(parts) == 1 and len(token) <= _MAX_ITEM_DIGITS
        return not is_item and _number_ends(token, following, words, opens)
    if word in words.never:
        return False
    if word in words.before_numbers and (following.is_number or following.is_roman):
        return False
    if language == "de" and word.endswith(_STREET_DE) and following.is_number:
        return False
    if word in words.maybe or _DOTTED.fullmatch(token):
        # "In Nov. I went": a phrase that only says when or where is not a sentence yet.
        is_phrase = (
            starts_sentence and len(parts) <= _PHRASE_WORDS and parts[0].lower() in _PREPOSITIONS
        )
        return opens and not (is_phrase and language == "en")
    if language == "hi" and word in _DEVANAGARI_LETTERS:
        return False
    if len(token) == 1 and token.lower() != token.upper():
        is_pronoun = language == "en" and token == "I" and following.is_upper
        return opens or (is_pronoun and not following.is_initial)
    if words.has_ordinals and len(token) > 1 and _ROMAN.fullmatch(token):
        return opens
    return None if following.is_lower else True


def _number_ends(token: str, following: Following, words: SentenceWords, opens: bool) -> bool:
    if words.has_ordinals and len(token) <= _MAX_ORDINAL_DIGITS:
        return opens
    return not following.is_lower


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
        # An unknown abbreviation, or a text without capitals: cut only where it must be.
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
