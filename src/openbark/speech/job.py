"""A text and its options to audio: one request to the engine where the text fits, else a plan of pieces.

The one path behind `generate`, lists, streams, scripts, the command line, the server, batches and replay.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from openbark.config import BarkConfig
from openbark.engine.engine import Engine
from openbark.engine.request import CascadeResult, Listen, Request
from openbark.errors import TextError
from openbark.longform.join import Placed, SpokenPiece, join_parts, join_pieces
from openbark.longform.live import LiveForm, live_options
from openbark.longform.options import LongFormOptions
from openbark.longform.plan import VoiceOf
from openbark.longform.run import LongForm, PieceEngine
from openbark.longform.scoring import DefaultScorer
from openbark.params import GenerationParams, check_params, check_seed
from openbark.result import Clip, ClipTokens, ModelOrigin, Segment
from openbark.speech.options import SpeechOptions
from openbark.speech.plan import SpeechPlan, plan_speech
from openbark.stages.semantic import StopReason
from openbark.text.reader import TextReader
from openbark.text.scripts.items import Speech
from openbark.types import Waveform
from openbark.voices.voice import Voice, VoiceLike

PROGRESS_STAGE = "speech"
"""Stage that progress is told of: pieces are finished out of step, so only their audio is counted."""

_ENDS = (StopReason.EOS, StopReason.EOS_PROBABILITY)
_LOG = logging.getLogger(__name__)


class Model(Protocol):
    """What is used of `openbark.api.Bark`."""

    default_params: GenerationParams
    origin: ModelOrigin

    @property
    def reader(self) -> TextReader:
        """How it reads text."""
        ...

    def find_voice(self, voice: VoiceLike | None) -> Voice | None:
        """The voice that is meant, checked. Raises VoiceError."""
        ...


@dataclass(frozen=True, eq=False)
class SpeechJob:
    """A text, read and planned, with everything it takes to speak it.

    text: the source that the plan's places are in. voice: of all that names no other, speakers: of the names in
    a script. params: every stage filled in. lazily: the plan is found piece by piece while the job is streamed.
    """

    text: str
    planned: SpeechPlan
    options: SpeechOptions
    voice: Voice | None
    params: GenerationParams
    seed: int
    speakers: Mapping[str, Voice | None] = field(default_factory=dict)
    origin: ModelOrigin = field(default_factory=ModelOrigin)
    lazily: bool = False

    @property
    def request(self) -> Request | None:
        """The one request that speaks it; None where it is spoken in pieces."""
        if not self.planned.is_one_request:
            return None
        return Request(
            text_tokens=self.planned.plan.pieces[0].text_tokens,
            params=self.params,
            seed=self.seed,
            voice=self.voice,
            cancel=self.options.cancel,
            progress=self.options.progress,
            latency=self.options.latency,
        )

    @property
    def voice_name(self) -> str | None:
        """Name of the voice of the whole; "unnamed" for one without."""
        return (self.voice.name or "unnamed") if self.voice else None

    def clip(self, engine: Engine, listen: Listen | None = None) -> Clip:
        """Everything at once. listen: called with each block [L] as soon as its piece is there."""
        request = self.request
        if request is None:
            return self._clip_of_pieces(engine, listen)
        clip = self.clip_of(request, engine.run(request), engine.backend.config)
        if listen is not None:
            listen(clip.waveform)
        return clip

    def clip_of(self, request: Request, result: CascadeResult, config: BarkConfig) -> Clip:
        """The clip that the engine made of `request`."""
        normalized = self.planned.plan.pieces[0].normalized
        return clip_of(request, result, self.text, normalized, config, self.origin, self._recipe)

    def stream(self, engine: Engine) -> Iterator[Waveform]:
        """Blocks [L], each as soon as it is there; together the waveform of `clip`. What has no sound is logged at
        the end of a plan that was found on the way."""
        request = self.request
        if request is not None:
            yield from engine.stream(request)
        else:
            for placed in self.placed(engine, eager=False):
                if len(placed.block):
                    yield placed.block
        if self.lazily:
            self.log_left_out()

    def placed(self, engine: PieceEngine, eager: bool = True) -> Iterator[Placed]:
        """Blocks in order, with the piece each belongs to; see `LongForm.pieces` for errors. eager: False makes the
        first piece alone, so that it is heard sooner."""
        plan, options = self.planned.plan, self.planned.options
        sample_rate = engine.backend.config.sample_rate
        scorer, cancel = self.options.scorer or DefaultScorer(), self.options.cancel
        what = (engine, plan, self.params, self.seed)
        if self.options.latency == "low":
            live = LiveForm(*what, live_options(options), scorer, cancel, eager=False)
            return join_parts(live.parts(), plan, sample_rate, options, self._advance)
        run = LongForm(*what, options, scorer, cancel, eager)
        return join_pieces(run.pieces(), plan, sample_rate, options, self._advance)

    def log_left_out(self) -> None:
        """One warning in the log that names what is left out, if anything is."""
        if self.planned.notice:
            _LOG.warning("%s", self.planned.notice)

    def _clip_of_pieces(self, engine: PieceEngine, listen: Listen | None) -> Clip:
        blocks: list[Waveform] = []
        spoken: list[SpokenPiece] = []
        segments: list[Segment] = []
        for placed in self.placed(engine, eager=listen is None):
            blocks.append(placed.block)
            if listen is not None and len(placed.block):
                listen(placed.block)
            if placed.spoken is not None:
                spoken.append(placed.spoken)
                segments.append(_segment_of(placed, placed.spoken))
        timings: Counter[str] = Counter()
        for each in spoken:
            timings.update(each.result.timings)
        limits = [
            each.result.stop_reason for each in spoken if each.result.stop_reason not in _ENDS
        ]
        return Clip(
            waveform=np.concatenate(blocks),
            sample_rate=engine.backend.config.sample_rate,
            tokens=ClipTokens(
                semantic=np.concatenate([each.result.semantic for each in spoken]),
                coarse=np.concatenate([each.result.coarse for each in spoken], axis=1),
                fine=np.concatenate([each.result.fine for each in spoken], axis=1),
            ),
            seed=self.seed,
            stop_reason=limits[0] if limits else spoken[-1].result.stop_reason,
            timings=dict(timings),
            text=self.text,
            normalized_text=" ".join(each.piece.normalized for each in spoken),
            n_text_tokens=sum(len(each.piece.text_tokens) for each in spoken),
            voice=self.voice_name,
            params=self.params,
            config=engine.backend.config,
            origin=self.origin,
            voice_digest=self.voice.digest if self.voice else None,
            segments=tuple(segments),
            recipe={"long_form": asdict(_settled(self.planned.options)), **self._recipe},
        )

    @property
    def _recipe(self) -> dict[str, Any]:
        """How the text was read, where that was asked for."""
        script = self.options.script
        if script is not None:
            names = {name: each.name if each else None for name, each in self.speakers.items()}
            return {
                "script": {
                    "format": self.planned.format,
                    "markup": script.markup,
                    "speakers": names,
                }
            }
        return {"input_format": self.options.input_format} if self.options.input_format else {}

    @property
    def _advance(self) -> Callable[[float, float], None] | None:
        progress = self.options.progress
        if progress is None:
            return None
        return lambda done, total: progress(PROGRESS_STAGE, done, total)


def plan_job(model: Model, text: str, options: SpeechOptions, lazily: bool = False) -> SpeechJob:
    """Read and plan a text, and find its voices. lazily: see `longform.plan.plan_script`.

    Raises TextError with its place, VoiceError or ParamError.
    """
    if not isinstance(text, str):
        raise TextError(f"a text is a string, not {type(text).__name__}")
    script = options.script
    named = script.speakers if script else {}
    speakers = {name: model.find_voice(each) for name, each in named.items()}
    voice = model.find_voice(options.voice)
    return SpeechJob(
        text=text,
        planned=plan_speech(model.reader, text, options, _voices(model, speakers, voice), lazily),
        options=options,
        voice=voice,
        params=check_params(options.params).resolve(model.default_params),
        seed=check_seed(options.seed),
        speakers=speakers,
        origin=model.origin,
        lazily=lazily,
    )


def clip_of(
    request: Request,
    result: CascadeResult,
    text: str,
    normalized: str,
    config: BarkConfig,
    origin: ModelOrigin,
    recipe: Mapping[str, Any],
) -> Clip:
    """The clip that the engine made of one request."""
    voice = request.voice
    return Clip(
        waveform=result.waveform,
        sample_rate=config.sample_rate,
        tokens=ClipTokens(result.semantic, result.coarse, result.fine),
        seed=request.seed,
        stop_reason=result.stop_reason,
        timings=result.timings,
        text=text,
        normalized_text=normalized,
        n_text_tokens=result.n_text_tokens,
        voice=(voice.name or "unnamed") if voice else None,
        params=request.params,
        config=config,
        origin=origin,
        voice_digest=voice.digest if voice else None,
        recipe=recipe,
    )


def _voices(model: Model, speakers: Mapping[str, Voice | None], voice: Voice | None) -> VoiceOf:
    def voice_of(speech: Speech) -> tuple[str | None, Voice | None]:
        name = speech.voice or speech.speaker
        if name is None:
            return None, voice
        return name, speakers[name] if name in speakers else model.find_voice(name)

    return voice_of


def _settled(given: LongFormOptions) -> LongFormOptions:
    """The options with today's defaults in them, so that the clip can be made again."""
    return replace(given, retries=given.n_retries, keep_seconds=given.kept_seconds)


def _segment_of(placed: Placed, spoken: SpokenPiece) -> Segment:
    return Segment(
        start=spoken.piece.start,
        stop=spoken.piece.stop,
        first_sample=placed.first_sample,
        end_sample=placed.end_sample,
        seed=spoken.seed,
        stop_reason=spoken.result.stop_reason,
        voice=spoken.voice,
        n_attempts=len(spoken.attempts),
        score=round(spoken.score, 4),
        attempts=spoken.attempts,
        late_seconds=round(placed.late_seconds, 4),
        overrun_seconds=round(placed.overrun_seconds, 4),
    )
