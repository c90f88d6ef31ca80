"""What will be spoken of a text, piece by piece: the one function behind `generate`, `openbark text` and the server.

Reads the format, the lines and the words; knows no engine and makes no audio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from openbark.config import BarkConfig
from openbark.errors import TextError
from openbark.longform.options import WHOLE, LongFormOptions
from openbark.longform.plan import Plan, VoiceOf, fits, plan_script
from openbark.speech.options import SpeechOptions
from openbark.text.language import check_language
from openbark.text.left_out import LeftOut, notice_of, refuse_left_out
from openbark.text.reader import TextReader
from openbark.text.scripts.documents import Document, read_document
from openbark.text.scripts.items import Speech
from openbark.text.scripts.read import read_script, script_format
from openbark.text.split.pieces import has_lines
from openbark.text.tokenizer import squeeze
from openbark.types import Tokens

_READINGS_KEPT = 16


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
    text: str,
    options: SpeechOptions,
    voice_of: VoiceOf,
    lazily: bool = False,
) -> SpeechPlan:
    """Plan a text or a script.

    Without `long_form` and a scorer a text that fits one request is one, or one piece a line where it has lines.
    lazily: see `longform.plan.plan_script`. Raises TextError, VoiceError or ParamError.
    """
    squeeze(text)
    found = _read(text, options, reader.is_raw)
    is_free = options.long_form is None and options.scorer is None and options.script is None
    own = options.long_form or LongFormOptions()
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
        if options.strict:
            refuse_left_out(left_out)
        return left_out

    plan = plan_script(found.items, encode, voice_of, reader.config, own, lazily, left_out_of)
    language = check_language(own.language, _first_words(found))
    return SpeechPlan(plan, own, is_one, found.format, language, found.left_out)


def named_voices(text: str, options: SpeechOptions) -> frozenset[str]:
    """Names that the lines of a script, of SSML or of subtitles give voices. Raises TextError, ParamError."""
    given = options.script.speakers if options.script else {}
    speeches = _speeches(_read(text, options, is_raw=False))
    names = {speech.voice or speech.speaker for speech in speeches}
    return frozenset(name for name in names if name is not None and name not in given)


def _read(text: str, options: SpeechOptions, is_raw: bool) -> Document:
    script = options.script
    if script is not None:
        markup = "error" if options.strict else script.markup
        found = read_script(text, script.format, tuple(script.speakers), markup)
        return Document(found.items, script_format(text, script.format), found.left_out)
    input_format = options.input_format or ("text" if is_raw else "auto")
    language = options.long_form.language if options.long_form else None
    return read_document(text, input_format, options.strict, language)


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
