"""Many machines as one speaker: utterances go to replicas of a Ray Serve deployment, which each hold a model.

The application in front is the same as without Ray. A replica that dies costs nothing but time: the same
utterance and seed give the same samples on another, which goes on where the first one ended. Needs the extra
[ray].
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from openbark.api import Bark
from openbark.errors import (
    BusyError,
    DeadlineError,
    DeviceError,
    ParamError,
    TextError,
    VoiceError,
)
from openbark.server.speakers.bark_speaker import BarkSpeaker
from openbark.server.speakers.base import (
    Block,
    Speaker,
    SpeakerFacts,
    SpeakerStats,
    SpeechReport,
    Utterance,
)
from openbark.server.speakers.watched import WatchedSpeaker, WatchLimits
from openbark.speech.plan import PlanReport, named_voices
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

_TRIES = 5
_PATIENCE_SECONDS = 0.1


@dataclass(frozen=True)
class ModelOptions:
    """What `Bark.load` is given in every replica."""

    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    backend: str | None = None
    threads: int | None = None

    def with_threads(self, threads: int) -> ModelOptions:
        """The same with this many CPU threads."""
        return replace(self, threads=threads)

    def speaker(self, max_rows: int) -> Speaker:
        """The model, loaded here. Ray shows a replica its own GPUs only, counted from 0, so that "cuda:1" of the
        machine is "cuda" in a replica."""
        device = "cuda" if (self.device or "").startswith("cuda:") else self.device
        bark = Bark.load(self.model, device, self.dtype, self.threads, self.backend)
        return BarkSpeaker(bark, max_rows)


class RayModel(Protocol):
    """What replicas are made of: `ModelOptions`, or a stand-in in tests."""

    @property
    def threads(self) -> int | None:
        """CPU threads of a replica; None leaves them to the cluster."""
        ...

    def with_threads(self, threads: int) -> RayModel:
        """The same with this many CPU threads."""
        ...

    def speaker(self, max_rows: int) -> Speaker:
        """Load the model. Called in the replica."""
        ...


class Replica:
    """One copy of the model; the class that Ray Serve deploys."""

    def __init__(self, model: RayModel, max_rows: int, limits: WatchLimits) -> None:
        self._speaker = WatchedSpeaker(model.speaker(max_rows), limits)

    async def check_health(self) -> None:
        """Called by Ray every few seconds; raises DeviceError for a copy that is to be replaced."""
        fault = self._speaker.check_progress()
        if fault is not None:
            raise DeviceError(fault.message)

    async def facts(self) -> tuple[SpeakerFacts, Mapping[str, Voice]]:
        """What there is to know of the model, and its voices."""
        library = self._speaker.library
        return self._speaker.facts, {name: library.get(name) for name in library.names}

    async def stats(self) -> SpeakerStats:
        """Load of this copy."""
        return self._speaker.stats

    async def plan(self, utterance: Utterance) -> PlanReport:
        """As `Speaker.plan`."""
        return self._speaker.plan(utterance)

    async def check_voice(self, voice: Voice) -> None:
        """As `Speaker.check_voice`."""
        self._speaker.check_voice(voice)

    async def speak(self, utterance: Utterance) -> AsyncIterator[Block | SpeechReport]:
        """The blocks of an utterance, then its report. Cancelled with the caller's stream."""
        speech = self._speaker.start(utterance)
        try:
            async for block in speech:
                yield block
        finally:
            await speech.aclose()
        if speech.report is not None:
            yield speech.report


class RaySpeaker:
    """The speaker of an application whose model is elsewhere.

    handle: of the deployment of `Replica`. facts: asked of one of them when the application starts. places: how many
    utterances all of them compute at once now; None for as many as one does.
    """

    def __init__(
        self,
        handle: Any,
        facts: SpeakerFacts,
        library: VoiceLibrary,
        places: Callable[[], int] | None = None,
    ) -> None:
        self._places = places
        self._handle = handle
        self.facts = facts
        self.library = library
        self.running = 0

    @property
    def stats(self) -> SpeakerStats:
        """Load as seen from here: utterances under way, and places; how fast replicas are is not known here."""
        places = self._places() if self._places is not None else None
        return SpeakerStats(self.running, 0, 0.0, places=places)

    def plan(self, utterance: Utterance) -> PlanReport:
        """The pieces it would be spoken in. Blocks; for threads."""
        found: PlanReport = self._handle.plan.remote(portable(utterance)).result()
        return found

    def check_voice(self, voice: Voice) -> None:
        """Raise VoiceError unless the model can continue from this voice. Blocks; for threads."""
        self._handle.check_voice.remote(voice).result()

    def start(self, utterance: Utterance) -> RaySpeech:
        """Begin; errors come with the first block."""
        return RaySpeech(self, portable(utterance))

    def close(self) -> None:
        """Nothing: replicas belong to Ray."""

    def ask(self, utterance: Utterance) -> Any:
        """A stream of blocks from one replica."""
        return self._handle.options(stream=True).speak.remote(utterance)


class RaySpeech:
    """One utterance on some replica."""

    def __init__(self, speaker: RaySpeaker, utterance: Utterance) -> None:
        self._speaker = speaker
        self._utterance = utterance
        self._stream: Any = None
        self._over = False
        self.report: SpeechReport | None = None
        speaker.running += 1

    async def __aiter__(self) -> AsyncIterator[Block]:
        """Blocks in order; goes on elsewhere when the replica dies."""
        n_heard = 0
        for attempt in range(1, _TRIES + 1):
            self._stream = self._speaker.ask(self._utterance)
            n_here = 0
            try:
                async for found in self._stream:
                    if isinstance(found, SpeechReport):
                        self.report = found
                        continue
                    n_old = min(len(found), n_heard - n_here)
                    n_here += len(found)
                    n_heard = max(n_heard, n_here)
                    if len(found) > n_old:
                        yield found[n_old:]
            except BackPressureError as error:
                raise BusyError("every replica has as much to say as it can") from error
            except (RayActorError, BusyError, DeadlineError, DeviceError) as error:
                # A replica that stands still or makes no sound is as good as a dead one.
                if attempt == _TRIES:
                    raise DeviceError(f"{_TRIES} replicas failed while speaking this") from error
                if not isinstance(error, RayActorError):
                    # Until its health check takes it out of the way.
                    await asyncio.sleep(_PATIENCE_SECONDS * 2**attempt)
            else:
                return

    async def aclose(self) -> None:
        """Cancel on the replica what is left."""
        if not self._over:
            self._over = True
            self._speaker.running -= 1
            if self._stream is not None and self.report is None:
                self._stream.cancel()


@dataclass(frozen=True)
class FoundVoices:
    """The voices that a text names, looked up where the server knows them; for `Utterance.find_voice` elsewhere.

    unknown: name -> why there is no such voice.
    """

    voices: Mapping[str, Voice]
    unknown: Mapping[str, str]

    def __call__(self, name: str) -> Voice:
        """The voice. Raises VoiceError."""
        if name in self.voices:
            return self.voices[name]
        raise VoiceError(self.unknown.get(name, f"there is no voice {name!r}"))


def portable(utterance: Utterance) -> Utterance:
    """The same without functions of this process: voices that the text names are looked up here."""
    voices: dict[str, Voice] = {}
    unknown: dict[str, str] = {}
    names: frozenset[str] = frozenset()
    # What is wrong with a text is said by the replica, which reads it again.
    with suppress(TextError, ParamError):
        names = named_voices(utterance.text, utterance.options)
    for name in names:
        try:
            voices[name] = utterance.find_voice(name)
        except VoiceError as error:
            unknown[name] = str(error)
    return replace(utterance, find_voice=FoundVoices(voices, unknown))
