"""SSML 1.1 read into script items: what has a plain meaning for a voice is done, the rest is passed over and listed.

speak, p, s, break, voice (name), prosody (rate), sub (alias), say-as, lang and mark are understood; the words inside
other elements are spoken. Expat reads it with everything switched off that could reach out or grow: a document with a
DTD is refused, so there are no entities but XML's own five. Knows no other format.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from xml.parsers import expat

from openbark.errors import TextError
from openbark.text.language import check_language
from openbark.text.left_out import LeftOut
from openbark.text.normalize.say_as import INTERPRETATIONS, said_as
from openbark.text.scripts.items import line_and_column, read_duration
from openbark.text.scripts.markup import ItemBuilder
from openbark.text.split.pieces import Boundary
from openbark.text.split.sentence_words import LANGUAGES

MAX_DEPTH = 50
PROSODY_RATES = MappingProxyType(
    {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
)
"""Speeds by name; also "80%" and "1.2", between 0.5 and 2."""

BREAK_STRENGTHS = MappingProxyType(
    {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
)
"""Seconds of a break by strength."""

_ATTRIBUTES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "speak": frozenset({"version", "xml:lang", "xml:base", "onlangfailure"}),
        "p": frozenset({"xml:lang"}),
        "s": frozenset({"xml:lang"}),
        "break": frozenset({"time", "strength"}),
        "voice": frozenset({"name", "xml:lang"}),
        "prosody": frozenset({"rate"}),
        "sub": frozenset({"alias"}),
        "say-as": frozenset({"interpret-as", "format", "detail"}),
        "lang": frozenset({"xml:lang", "onlangfailure"}),
        "mark": frozenset({"name"}),
    }
)
# What stands inside these is not meant to be spoken.
_UNSPOKEN = frozenset(("metadata", "desc", "lexicon", "meta", "lookup"))
_NO_EFFECT = "has no effect on this voice"
_TAG = re.compile(r"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*+>")
_SPACE = re.compile(r"\s")
_MIN_RATE, _MAX_RATE = 0.5, 2.0
_ENDS = MappingProxyType({"p": Boundary.PARAGRAPH, "s": Boundary.SENTENCE})


def parse_ssml(source: str, markup: str) -> ItemBuilder:
    """Items of an SSML document, in a builder that also lists what was passed over.

    Raises TextError, with its place, for what is not well-formed, for a DTD and for values out of range; for elements
    and attributes outside the subset where `markup` is "error". With "speak" their tags are said.
    """
    reader = _Reader(source, markup)
    reader.read()
    reader.builder.flush(Boundary.PARAGRAPH)
    return reader.builder


@dataclass(frozen=True, slots=True)
class _Open:
    """An element that is open, with what held before it. name: empty for one outside the subset."""

    name: str
    voice: str | None
    rate: float
    language: str | None
    attributes: Mapping[str, str]


class _Reader:
    """Expat's events to items."""

    def __init__(self, source: str, markup: str) -> None:
        self.builder = ItemBuilder()
        self._source = source
        self._markup = markup
        self._open: list[_Open] = []
        # Depth at which words stopped being spoken, and at which they are collected for <say-as>.
        self._unspoken_from: int | None = None
        self._collected: list[str] | None = None
        # Expat counts bytes, everybody else characters.
        lengths = (len(letter.encode("utf-8", "surrogatepass")) for letter in source)
        self._bytes_before = list(accumulate(lengths, initial=0))
        self._parser = expat.ParserCreate("utf-8")

    def read(self) -> None:
        parser = self._parser
        parser.buffer_text = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartDoctypeDeclHandler = self._doctype
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        try:
            parser.Parse(self._source.encode("utf-8"), True)
        except UnicodeEncodeError as error:
            raise TextError(
                f"{self._at(error.start)}: half a surrogate pair is not a character"
            ) from error
        except expat.ExpatError as error:
            where = f"line {error.lineno}, column {error.offset + 1}"
            raise TextError(
                f"{where}: not well-formed SSML ({expat.ErrorString(error.code)}); "
                "write & as &amp; and < as &lt;"
            ) from error

    def _position(self) -> int:
        return bisect_left(self._bytes_before, self._parser.CurrentByteIndex)

    def _at(self, position: int) -> str:
        return line_and_column(self._source, position)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        where = self._at(self._position())
        if not self._open and name != "speak":
            raise TextError(f"{where}: SSML begins with <speak>, not <{name}>")
        if len(self._open) >= MAX_DEPTH:
            raise TextError(f"{where}: elements inside each other deeper than {MAX_DEPTH}")
        builder = self.builder
        unknown = self._unknown(name, attributes)
        is_known = unknown is None or (self._markup == "read" and name in _ATTRIBUTES)
        self._open.append(
            _Open(
                name if is_known else "", builder.voice, builder.rate, builder.language, attributes
            )
        )
        if unknown:
            self._pass_over(unknown)
        if name in _UNSPOKEN and self._markup == "read" and self._unspoken_from is None:
            self._unspoken_from = len(self._open)
        if is_known:
            self._apply(name, attributes, where)

    def _apply(self, name: str, attributes: dict[str, str], where: str) -> None:
        """What a known element does where it opens."""
        builder = self.builder
        if name in _ENDS:
            # What comes before a paragraph is one too.
            builder.flush(Boundary.PARAGRAPH if name == "p" else None)
        if "xml:lang" in attributes:
            builder.flush()
            builder.language = self._language(attributes["xml:lang"])
        if name == "voice":
            self._voice(attributes, where)
        elif name == "prosody" and "rate" in attributes:
            builder.flush()
            builder.rate *= self._rate(attributes["rate"], where)
            self._check_rate(builder.rate, where)
        elif name == "break":
            builder.pause(self._break(attributes, where))
        elif name == "sub" and self._unspoken_from is None:
            if "alias" not in attributes:
                raise TextError(f"{where}: <sub> needs an alias: <sub alias=...>")
            builder.insert(attributes["alias"], self._position())
            self._unspoken_from = len(self._open)
        elif name == "say-as":
            self._begin_say_as(attributes, where)

    def _begin_say_as(self, attributes: dict[str, str], where: str) -> None:
        kind = attributes.get("interpret-as", "").strip().lower()
        if not kind:
            raise TextError(f"{where}: <say-as> needs an interpret-as: <say-as interpret-as=...>")
        if kind not in INTERPRETATIONS:
            self._pass_over(f"<say-as interpret-as={kind!r}>")
        if self._collected is None:
            self._collected = []

    def _end(self, name: str) -> None:
        opened = self._open.pop()
        if self._unspoken_from is not None and len(self._open) < self._unspoken_from:
            self._unspoken_from = None
        if not opened.name:
            # An empty element has one event too many: its tag is said already.
            if self._markup == "speak" and self._source.startswith("</", self._position()):
                self._say(f"</{name}>")
            return
        if opened.name == "say-as":
            self._end_say_as(opened.attributes)
        if opened.name in _ENDS:
            self.builder.flush(_ENDS[opened.name])
        elif (opened.voice, opened.rate, opened.language) != (
            self.builder.voice,
            self.builder.rate,
            self.builder.language,
        ):
            self.builder.flush()
        self.builder.voice, self.builder.rate = opened.voice, opened.rate
        self.builder.language = opened.language

    def _end_say_as(self, attributes: Mapping[str, str]) -> None:
        if any(each.name == "say-as" for each in self._open) or self._collected is None:
            return
        text, self._collected = "".join(self._collected), None
        kind, format = attributes["interpret-as"].strip(), attributes.get("format", "")
        spoken = said_as(text, kind, format, self.builder.language)
        self.builder.insert(spoken, self._position())

    def _text(self, data: str) -> None:
        if self._unspoken_from is not None:
            return
        # White space in XML only sets words apart; line breaks must not look like paragraphs.
        plain = _SPACE.sub(" ", data)
        if self._collected is not None:
            self._collected.append(plain)
        else:
            self.builder.add(plain, self._position())

    def _instruction(self, target: str, data: str) -> None:
        position = self._position()
        stop = self._source.find("?>", position) + 2
        self._pass_over(f"<?{target}?>", self._source[position:stop])

    def _doctype(self, *_: object) -> None:
        raise TextError(
            f"{self._at(self._position())}: a document type declaration; SSML here has none, and no "
            "entities but &amp; &lt; &gt; &quot; &apos;"
        )

    def _unknown(self, name: str, attributes: dict[str, str]) -> str | None:
        """What of a tag is outside the subset; None if nothing is."""
        if name not in _ATTRIBUTES:
            return f"<{name}>"
        for attribute in attributes:
            is_namespace = attribute.startswith(("xmlns", "xsi:"))
            if attribute not in _ATTRIBUTES[name] and not is_namespace:
                return f"<{name} {attribute}=...>"
        return None

    def _pass_over(self, what: str, written: str | None = None) -> None:
        """Refuse, say or list markup outside the subset, as was asked for."""
        position = self._position()
        if self._markup == "error":
            known = "; ".join(
                f"{name} ({', '.join(sorted(_ATTRIBUTES[name]))})" for name in _ATTRIBUTES
            )
            raise TextError(
                f"{self._at(position)}: unknown markup {what}; known: {known}; remove it, or choose "
                "markup='read' to pass over it"
            )
        if self._markup == "read":
            self.builder.left_out.append(LeftOut(what, _NO_EFFECT))
            return
        if written is None:
            tag = _TAG.match(self._source, position)
            written = tag.group() if tag else what
        self._say(written)

    def _say(self, written: str) -> None:
        self.builder.add(written, self._position())

    def _voice(self, attributes: dict[str, str], where: str) -> None:
        name = attributes.get("name", "").strip()
        if not name:
            raise TextError(f"{where}: <voice> needs a name: <voice name=...>")
        self.builder.flush()
        self.builder.voice = name

    def _language(self, written: str) -> str | None:
        """The code of a language tag; one we have no rules for is guessed from its text."""
        code = written.partition("-")[0].lower()
        return check_language(code, "") if code in LANGUAGES else None

    def _rate(self, written: str, where: str) -> float:
        value = written.strip()
        if value in PROSODY_RATES:
            return PROSODY_RATES[value]
        number = re.fullmatch(r"(\d{1,4}(?:\.\d{1,6})?)(%?)", value)
        if number is None:
            raise TextError(
                f"{where}: prosody rate {written!r}; allowed: {', '.join(PROSODY_RATES)}, a number such as "
                f"1.2 or a percentage such as 80%, between {_MIN_RATE:g} and {_MAX_RATE:g}"
            )
        rate = float(number[1]) / (100.0 if number[2] else 1.0)
        self._check_rate(rate, where)
        return rate

    def _check_rate(self, rate: float, where: str) -> None:
        if not _MIN_RATE <= rate <= _MAX_RATE:
            raise TextError(
                f"{where}: prosody rate {rate:g} in all; allowed: {_MIN_RATE:g} to {_MAX_RATE:g}"
            )

    def _break(self, attributes: dict[str, str], where: str) -> float:
        if "time" in attributes:
            return read_duration(attributes["time"], where)
        strength = attributes.get("strength", "medium")
        if strength not in BREAK_STRENGTHS:
            raise TextError(
                f"{where}: break strength {strength!r}; allowed: {', '.join(BREAK_STRENGTHS)}"
            )
        return BREAK_STRENGTHS[strength]
