"""The interface of a loaded model to the server: start an utterance, return its audio, report the load.

`bark_speaker.BarkSpeaker` is the real one; tests have one of their own with latency and faults to order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openbark.errors import VoiceError
from openbark.params import GenerationParams
from openbark.speech.options import SpeechOptions
from openbark.speech.plan import PlanReport
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

Block = NDArray[np.float32]
"""Mono samples [L] in [-1, 1], the next piece of a waveform."""


def no_voice(name: str) -> Voice:
    """Knows no voice. Raises VoiceError."""
    raise VoiceError(f"there is no voice {name!r}")


@dataclass(frozen=True, eq=False)
class Utterance:
    """One request, checked: what to say, and how. options: voices found, params with every stage filled in.

    find_voice: the voice of any other name in a script or in subtitles; raises VoiceError.
    """

    text: str
    options: SpeechOptions
    find_voice: Callable[[str], Voice] = no_voice


@dataclass(frozen=True)
class SpokenSegment:
    """Where a stretch of the text is heard, in seconds."""

    text: str
    start: float
    end: float
    voice: str | None
    stop_reason: str
    n_attempts: int


@dataclass(frozen=True)
class StageTime:
    """When a stage of a piece was computed: laid out backwards from the moment the piece was there, in Unix
    seconds; stages that overlapped follow one another here."""

    stage: str
    began: float
    seconds: float


@dataclass(frozen=True, eq=False)
class SpeechReport:
    """Facts about an utterance that ended. voice: one made of it, where it is long enough. stages:
    of every piece, where they are known."""

    input_tokens: int
    output_tokens: int
    seconds: float
    segments: tuple[SpokenSegment, ...] = ()
    voice: Voice | None = None
    stages: tuple[StageTime, ...] = ()


class Speech(Protocol):
    """An utterance being made: iterate it once for its audio; closing it cancels what is left."""

    def __aiter__(self) -> AsyncIterator[Block]:
        """Blocks in order. Raises OpenBarkError where the making fails."""
        ...

    async def aclose(self) -> None:
        """Stop within one decode step and free the place; harmless when it has ended."""
        ...

    @property
    def report(self) -> SpeechReport | None:
        """Report of the speech; None until it ended."""
        ...


@dataclass(frozen=True)
class SpeakerStats:
    """Load of the machine: requests computed, requests waiting, audio seconds estimated for both. speed: audio
    seconds it makes in a second of work, lately; None before it has made any. progress: another number after every
    step of work; None where it is not known. places: utterances it computes at once where that changes, as with
    replicas that come and go; None for `max_rows` of the settings."""

    running: int
    waiting: int
    queued_seconds: float
    speed: float | None = None
    progress: float | None = None
    places: int | None = None


@dataclass(frozen=True, eq=False)
class SpeakerFacts:
    """What is known of a loaded model and does not change. sample_rate: of every block; default_params: the model's
    own, every stage filled in."""

    model: str
    sample_rate: int
    default_params: GenerationParams


class Speaker(Protocol):
    """A loaded model that speaks many utterances at once."""

    @property
    def facts(self) -> SpeakerFacts:
        """What is known of the model."""
        ...

    @property
    def library(self) -> VoiceLibrary:
        """The model's own voices."""
        ...

    @property
    def stats(self) -> SpeakerStats:
        """Load at this moment."""
        ...

    def plan(self, utterance: Utterance) -> PlanReport:
        """The pieces it would be spoken in, with their pauses and seconds. Raises InputError."""
        ...

    def check_voice(self, voice: Voice) -> None:
        """Raise VoiceError unless the model can continue from this voice."""
        ...

    def start(self, utterance: Utterance) -> Speech:
        """Begin. Raises InputError for what the model cannot say, BusyError when it is full."""
        ...

    def close(self) -> None:
        """Stop everything and free the model; harmless when repeated."""
        ...
