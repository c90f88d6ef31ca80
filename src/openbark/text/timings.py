"""When each stretch of a text is heard, and subtitles made of that: SRT, WebVTT, JSON.

Sentences are as exact as the caller's times; words are estimated from their length and marked so. Knows no
audio.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from openbark.errors import ParamError
from openbark.text.speech_length import running_seconds

_WORD = re.compile(r"\S+")
_WIDE = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")
_WIDE_WORD = re.compile(
    r"[\u3041-\u309f]+|[\u30a0-\u30ff]+|[\u3400-\u9fff]|[^\s\u3041-\u30ff\u3400-\u9fff]+"
)


@dataclass(frozen=True, slots=True)
class TextTiming:
    """A stretch of text and when it is heard.

    starts_at, stops_at: seconds; start, stop: its place [start, stop) in the text that was given.
    is_estimate: False where samples tell, True where only the length of words does.
    """

    text: str
    starts_at: float
    stops_at: float
    start: int
    stop: int
    is_estimate: bool = False


def word_timings(sentence: TextTiming) -> tuple[TextTiming, ...]:
    """Its words, the time shared out by how long their characters take on average.

    A word is what stands between white space; in Chinese and Japanese an ideograph or a run of kana.
    """
    pattern = _WIDE_WORD if _WIDE.search(sentence.text) else _WORD
    running = running_seconds(sentence.text)
    seconds = (sentence.stops_at - sentence.starts_at) / (running[-1] or 1.0)
    return tuple(
        TextTiming(
            text=match.group(),
            starts_at=sentence.starts_at + running[match.start()] * seconds,
            stops_at=sentence.starts_at + running[match.end()] * seconds,
            start=sentence.start + match.start(),
            stop=sentence.start + match.end(),
            is_estimate=True,
        )
        for match in pattern.finditer(sentence.text)
    )


def format_timings(
    sentences: Sequence[TextTiming], format: str = "srt", words: bool = False
) -> str:
    """Subtitles: one cue a sentence; words: one cue a word (in JSON: the words inside their sentence).

    format: a key of TIMING_FORMATS. Raises ParamError for another.
    """
    if format not in TIMING_FORMATS:
        raise ParamError(f"unknown timing format {format!r}; allowed: {', '.join(TIMING_FORMATS)}")
    if format == "json":
        return json.dumps(
            {
                "sentences": [
                    {
                        **_entry(sentence),
                        **({"words": [_entry(w) for w in word_timings(sentence)]} if words else {}),
                    }
                    for sentence in sentences
                ]
            },
            ensure_ascii=False,
        )
    cues = [word for each in sentences for word in word_timings(each)] if words else sentences
    mark = "," if format == "srt" else "."
    blocks = [
        f"{number}\n{_clock(cue.starts_at, mark)} --> {_clock(cue.stops_at, mark)}\n{_one_line(cue.text)}\n"
        for number, cue in enumerate(cues, start=1)
    ]
    head = "" if format == "srt" else "WEBVTT\n\n"
    if format == "vtt" and words:
        head += "NOTE times of words are estimates\n\n"
    return head + "\n".join(blocks)


def _entry(timing: TextTiming) -> dict[str, object]:
    return {
        "text": timing.text,
        "start": round(timing.starts_at, 4),
        "end": round(timing.stops_at, 4),
        "span": [timing.start, timing.stop],
        "is_estimate": timing.is_estimate,
    }


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{mark}{milliseconds % 1000:03}"


def _one_line(text: str) -> str:
    # An arrow between dashes would end the text of a cue.
    return " ".join(text.split()).replace("-->", "->")


TIMING_FORMATS = MappingProxyType(
    {"srt": "SubRip subtitles", "vtt": "WebVTT subtitles", "json": "JSON with spans of the text"}
)
"""Formats by name, with what each is."""
