"""What will be spoken of a text, piece by piece: the one function behind `generate`, `openbark text` and the server.

Reads the format, the lines and the words; knows no engine and makes no audio.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from openbark.config import BarkConfig
from openbark.errors import TextError
from openbark.longform.options import WHOLE, LongFormOptions
from openbark.longform.plan import Plan, VoiceOf, fits, plan_script
from openbark.text.language import check_language
from openbark.text.left_out import LeftOut, notice_of, refuse_left_out
from openbark.text.reader import TextReader
from openbark.text.scripts.documents import Document, read_document
from openbark.text.scripts.items import Speech
from openbark.text.scripts.read import read_script, script_format
from openbark.text.split.pieces import has_lines
from openbark.text.tokenizer import squeeze
from openbark.voices.voice import Tokens

__all__ = ["PieceReport", "PlanReport", "SpeechPlan", "TextAsked", "plan_speech"]

_READINGS_KEPT = 16


@dataclass(frozen=True)
class TextAsked:
    """A text and how it is to be read.

    input_format: a key of `text.scripts.documents.INPUT_FORMATS`; None is "auto", and "text" for a model that reads text as it
    stands. strict: refuse what would be left out. is_script: read it as a script of the format `script` (None: seen from
    its beginning) with these speakers and `markup`.
    """

    text: str
    input_format: str | None = None
    strict: bool = False
    is_script: bool = False
    script: str | None = None
    speakers: Collection[str] = ()
    markup: str = "read"


@dataclass(frozen=True)
class PieceReport:
    """One piece. text: [start, stop) of the source, spoken: as the model reads it. seconds: expected, at its rate;
    pause: silence after it; starts_at: the time of a subtitle; voice: a name in a script."""

    text: str
    spoken: str
    start: int
    stop: int
    seconds: float
    pause: float
    voice: str | None = None
    rate: float = 1.0
    starts_at: float | None = None


@dataclass(frozen=True)
class PlanReport:
    """A plan as plain values. lead: silence before the first piece; seconds: of everything, silences included."""

    format: str
    language: str
    seconds: float
    lead: float
    pieces: tuple[PieceReport, ...]
    left_out: tuple[LeftOut, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self),
            "seconds": round(self.seconds, 3),
            "pieces": [
                {**asdict(piece), "seconds": round(piece.seconds, 3)} for piece in self.pieces
            ],
        }


@dataclass(frozen=True, eq=False)
class SpeechPlan:
    """The pieces of a text and how they were found.

    options: how it is spoken, what was left open chosen. is_one_request: the text fits the model as it is, so its one
    piece is spoken without trimming, pauses and retries. format: as the text was read.
    """

    plan: Plan
    options: LongFormOptions
    is_one_request: bool
    format: str
    language: str
    passed_over: tuple[LeftOut, ...] = ()

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Everything without a sound in the pieces that are known, each once."""
        return tuple(dict.fromkeys((*self.passed_over, *self.plan.left_out)))

    @property
    def notice(self) -> str | None:
        """One line that says what was left out; None where nothing was."""
        return notice_of(self.left_out)

    def report(self) -> PlanReport:
        """Plain values of the whole plan."""
        pieces = tuple(
            PieceReport(
                text=piece.text,
                spoken=piece.normalized,
                start=piece.start,
                stop=piece.stop,
                seconds=piece.seconds / piece.rate,
                pause=piece.pause,
                voice=piece.role,
                rate=piece.rate,
                starts_at=piece.starts_at,
            )
            for piece in self.plan.pieces
        )
        return PlanReport(
            format=self.format,
            language=self.language,
            seconds=self.plan.seconds,
            lead=self.plan.lead,
            pieces=pieces,
            left_out=self.left_out,
        )


def plan_speech(
    reader: TextReader,
    asked: TextAsked,
    voice_of: VoiceOf,
    options: LongFormOptions | None = None,
    in_pieces: bool = False,
    lazily: bool = False,
) -> SpeechPlan:
    """Plan a text or a script.

    options: None lets a text that fits one request be one, or one piece a line where it has lines; in_pieces: cut it
    into sentences all the same. lazily: see `longform.plan.plan_script`. Raises TextError, VoiceError or ParamError.
    """
    squeeze(asked.text)
    found = _read(reader, asked, options)
    is_free = options is None and not in_pieces and not asked.is_script
    own = options or LongFormOptions()
    reading = lru_cache(_READINGS_KEPT)(reader.reading)

    def encode(text: str) -> tuple[str, Tokens]:
        normalized = reading(text).text
        return normalized, reader.encode(normalized)

    is_one = is_free and _is_one_request(reader, found, encode, own)
    if is_one:
        own = replace(own, split=WHOLE)
    elif is_free and _is_short(found, encode, reader.config, own):
        # Each line, and each paragraph, as it would be by itself.
        own = replace(own, split="packed")

    def left_out_of(text: str) -> tuple[LeftOut, ...]:
        left_out = reading(text).left_out
        if asked.strict:
            refuse_left_out(left_out)
        return left_out

    plan = plan_script(found.items, encode, voice_of, reader.config, own, lazily, left_out_of)
    language = check_language(own.language, _first_words(found))
    return SpeechPlan(plan, own, is_one, found.format, language, found.left_out)


def _read(reader: TextReader, asked: TextAsked, options: LongFormOptions | None) -> Document:
    if asked.is_script:
        markup = "error" if asked.strict else asked.markup
        script = read_script(asked.text, asked.script, asked.speakers, markup)
        return Document(script.items, script_format(asked.text, asked.script), script.left_out)
    input_format = asked.input_format or ("text" if reader.is_raw else "auto")
    language = options.language if options else None
    return read_document(asked.text, input_format, asked.strict, language, asked.speakers)


def _speeches(found: Document) -> list[Speech]:
    return [item for item in found.items if isinstance(item, Speech)]


def _first_words(found: Document) -> str:
    return " ".join(item.text for item in _speeches(found)[:50])


def _is_plain(item: object) -> bool:
    return isinstance(item, Speech) and (item.voice, item.speaker, item.rate, item.starts_at) == (
        None,
        None,
        1.0,
        None,
    )


def _is_one_request(
    reader: TextReader,
    found: Document,
    encode: Callable[[str], tuple[str, Tokens]],
    options: LongFormOptions,
) -> bool:
    if len(found.items) != 1 or not _is_plain(found.items[0]):
        return False
    text = _speeches(found)[0].text
    if not fits(text, encode, reader.config, options):
        return False
    return reader.is_raw or not has_lines(text, options.language)


def _is_short(
    found: Document,
    encode: Callable[[str], tuple[str, Tokens]],
    config: BarkConfig,
    options: LongFormOptions,
) -> bool:
    """Whether all of it together would fit one request."""
    if not all(_is_plain(item) for item in _speeches(found)):
        return False
    text = "\n".join(item.text for item in _speeches(found))
    try:
        return fits(text, encode, config, options)
    except TextError:
        return False
