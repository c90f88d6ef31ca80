"""How long a request lasts before it is spoken, from its letters, its breaks and the times of its cues.

For admission and for the limit on seconds; reads a script, and no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from openbark.longform.options import Pauses
from openbark.server.speech.protocol import SpeechRequest
from openbark.text.scripts.items import Pause
from openbark.text.scripts.read import parse_script
from openbark.text.speech_length import expected_seconds

__all__ = ["Estimate", "estimate_request"]

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]{0,4}(?=\s|$)|[。！？।॥]+")
_PARAGRAPH_END = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Estimate:
    """work: seconds of audio that the model computes, every attempt counted; audio: seconds that are heard,
    silence included."""

    work: float
    audio: float

    @property
    def held(self) -> float:
        """Seconds that admission counts: the larger of the two."""
        return max(self.work, self.audio)


def estimate_request(request: SpeechRequest) -> Estimate:
    """The estimate of a request. Raises InputError for a script that cannot be read."""
    speech, silence, ends_at = 0.0, 0.0, 0.0
    if request.script == "off":
        speech, silence = _of_text(request.input, 1.0, request)
    else:
        for item in parse_script(request.input, request.script, tuple(request.speakers)):
            if isinstance(item, Pause):
                silence += item.seconds
                continue
            seconds, pauses = _of_text(item.text, item.rate, request)
            speech += seconds
            silence += pauses
            if item.starts_at is not None:
                # A cue waits for its time; one that is late is spoken where it is.
                ends_at = max(ends_at, item.starts_at) + seconds + pauses
    audio = max(speech + silence, ends_at) / request.speed
    return Estimate(speech * (request.best_of or 1), audio)


def _of_text(text: str, rate: float, request: SpeechRequest) -> tuple[float, float]:
    """Seconds of speech in a text, and of the pauses that its punctuation makes."""
    own = Pauses()
    sentence = own.sentence if request.sentence_pause is None else request.sentence_pause
    paragraph = own.paragraph if request.paragraph_pause is None else request.paragraph_pause
    pauses = sentence * len(_SENTENCE_END.findall(text))
    pauses += paragraph * len(_PARAGRAPH_END.findall(text))
    return expected_seconds(text) / rate, pauses
