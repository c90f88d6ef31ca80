"""A subset of SSML 1.1 read into script items: speak, p, s, break, voice (name) and prosody (rate).

Expat reads it with everything switched off that could reach out or grow: a document with a DTD is refused,
so there are no entities but XML's own five. Knows no other format.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate
from types import MappingProxyType
from xml.parsers import expat

from openbark.errors import TextError
from openbark.text.language import check_language
from openbark.text.script_items import ScriptItem, line_and_column, read_duration
from openbark.text.script_markup import ItemBuilder
from openbark.text.sentence_words import LANGUAGES
from openbark.text.split import Boundary

__all__ = ["BREAK_STRENGTHS", "MAX_DEPTH", "PROSODY_RATES", "parse_ssml"]

MAX_DEPTH = 50
PROSODY_RATES = MappingProxyType(
    {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
)
"""Speeds by name; also "80%" and "1.2", between 0.5 and 2."""

BREAK_STRENGTHS = MappingProxyType(
    {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
)
"""Seconds of a break by strength."""

_ATTRIBUTES = MappingProxyType(
    {
        "speak": frozenset({"version", "xml:lang", "xml:base"}),
        "p": frozenset({"xml:lang"}),
        "s": frozenset({"xml:lang"}),
        "break": frozenset({"time", "strength"}),
        "voice": frozenset({"name", "xml:lang"}),
        "prosody": frozenset({"rate"}),
    }
)
_TAG = re.compile(r"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*+>")
_SPACE = re.compile(r"\s")
_MIN_RATE, _MAX_RATE = 0.5, 2.0
_ENDS = MappingProxyType({"p": Boundary.PARAGRAPH, "s": Boundary.SENTENCE})


def parse_ssml(source: str, markup: str) -> list[ScriptItem]:
    """Items of an SSML document.

    Raises TextError, with its place, for what is not well-formed, for a DTD, for values out of range, and for
    elements or attributes outside the subset unless `markup` is "speak": then the tag itself is said.
    """
    reader = _Reader(source, markup)
    reader.read()
    reader.builder.flush(Boundary.PARAGRAPH)
    return reader.builder.items


class _Reader:
    """Expat's events to items."""

    def __init__(self, source: str, markup: str) -> None:
        self.builder = ItemBuilder()
        self._source = source
        self._markup = markup
        self._open: list[tuple[str, str | None, float, str | None]] = []
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
                f"{self._at(error.start)}: half a surrogate pair is no character"
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
        state = (self.builder.voice, self.builder.rate, self.builder.language)
        unknown = self._unknown(name, attributes)
        self._open.append(("" if unknown else name, *state))
        if unknown:
            self._refuse_or_say(unknown)
            return
        if name in _ENDS:
            # What comes before a paragraph is one too.
            self.builder.flush(Boundary.PARAGRAPH if name == "p" else None)
        if "xml:lang" in attributes:
            self.builder.flush()
            self.builder.language = self._language(attributes["xml:lang"])
        if name == "voice":
            self._voice(attributes, where)
        elif name == "prosody":
            self.builder.flush()
            self.builder.rate *= self._rate(attributes.get("rate", ""), where)
            self._check_rate(self.builder.rate, where)
        elif name == "break":
            self.builder.pause(self._break(attributes, where))

    def _end(self, name: str) -> None:
        known, voice, rate, language = self._open.pop()
        if not known:
            tag = f"</{name}>"
            # An empty element has one event too many: its tag is said already.
            if self._source.startswith("</", self._position()):
                self._say(tag)
            return
        if known in _ENDS:
            self.builder.flush(_ENDS[known])
        elif (voice, rate, language) != (
            self.builder.voice,
            self.builder.rate,
            self.builder.language,
        ):
            self.builder.flush()
        self.builder.voice, self.builder.rate, self.builder.language = voice, rate, language

    def _text(self, data: str) -> None:
        # White space in XML only sets words apart; line breaks must not look like paragraphs.
        self.builder.add(_SPACE.sub(" ", data), self._position())

    def _instruction(self, target: str, data: str) -> None:
        position = self._position()
        stop = self._source.find("?>", position) + 2
        self._refuse_or_say(f"<?{target}?>", self._source[position:stop])

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

    def _refuse_or_say(self, what: str, written: str | None = None) -> None:
        position = self._position()
        if self._markup == "error":
            known = "; ".join(
                f"{name} ({', '.join(sorted(_ATTRIBUTES[name]))})" for name in _ATTRIBUTES
            )
            raise TextError(
                f"{self._at(position)}: unknown markup {what}; known: {known}; remove it, or choose "
                "markup='speak' to have it said"
            )
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
                f"{where}: prosody rate {written!r}; legal: {', '.join(PROSODY_RATES)}, a number such as "
                f"1.2 or a percentage such as 80%, between {_MIN_RATE:g} and {_MAX_RATE:g}"
            )
        rate = float(number[1]) / (100.0 if number[2] else 1.0)
        self._check_rate(rate, where)
        return rate

    def _check_rate(self, rate: float, where: str) -> None:
        if not _MIN_RATE <= rate <= _MAX_RATE:
            raise TextError(
                f"{where}: prosody rate {rate:g} in all; legal: {_MIN_RATE:g} to {_MAX_RATE:g}"
            )

    def _break(self, attributes: dict[str, str], where: str) -> float:
        if "time" in attributes:
            return read_duration(attributes["time"], where)
        strength = attributes.get("strength", "medium")
        if strength not in BREAK_STRENGTHS:
            raise TextError(
                f"{where}: break strength {strength!r}; legal: {', '.join(BREAK_STRENGTHS)}"
            )
        return BREAK_STRENGTHS[strength]
