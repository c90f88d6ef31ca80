"""Long texts and scripts to clips: a plan run on an engine, and what came of each piece reported.

Between `openbark.api`, which knows models and voices, and `openbark.longform.run`, which knows neither text
nor clips.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from openbark.audio import Waveform
from openbark.engine.request import Cancel, Listen, Progress, check_latency
from openbark.errors import ParamError
from openbark.longform.join import Placed, SpokenPiece, join_parts, join_pieces
from openbark.longform.live import LiveForm, check_live_options
from openbark.longform.options import LongFormOptions, Pauses
from openbark.longform.plan import Plan, VoiceOf
from openbark.longform.run import LongForm, PieceEngine
from openbark.longform.scoring import DefaultScorer, Scorer
from openbark.longform.speech_plan import PlanReport, SpeechPlan, TextAsked, plan_speech
from openbark.params import GenerationParams, check_params, check_seed
from openbark.result import Clip, ClipTokens, ModelOrigin, Segment
from openbark.stages.semantic import StopReason
from openbark.text.reader import TextReader
from openbark.text.scripts.items import Speech
from openbark.voices.voice import Voice

__all__ = [
    "PROGRESS_STAGE",
    "Manner",
    "Model",
    "Narration",
    "Script",
    "narrate_plan",
    "narrate_script",
    "narrate_text",
    "options_from",
    "plan_of_script",
    "plan_of_text",
    "segment_of",
]

PROGRESS_STAGE = "speech"
"""Stage that progress is told of: pieces are finished out of step, so only their audio is counted."""

_ENDS = (StopReason.EOS, StopReason.EOS_PROBABILITY)


@dataclass(frozen=True, eq=False)
class Narration:
    """A plan with everything it takes to speak it, and to say afterwards how it came to be.

    text: the source that the plan's places are in. voice: of the whole, None without one or with several.
    recipe: what was asked besides, for `Clip.recipe`. latency: "low" hands out audio while a piece is made; then
    no piece is made again, compared or trimmed. planned: how the plan came about, with what it leaves out.

    Raises ParamError for another latency than LATENCIES, and for "low" with what it cannot do
    (`longform.live.check_live_options`).
    """

    text: str
    plan: Plan
    params: GenerationParams
    seed: int
    options: LongFormOptions
    voice: Voice | None = None
    scorer: Scorer | None = None
    cancel: Cancel | None = None
    progress: Progress | None = None
    origin: ModelOrigin = field(default_factory=ModelOrigin)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    latency: str = "sentence"
    planned: SpeechPlan | None = None

    def __post_init__(self) -> None:
        check_latency(self.latency)
        if self.latency == "low":
            check_live_options(self.options, self.scorer)

    @property
    def report(self) -> PlanReport:
        """What will be spoken, piece by piece, as plain values. Only for narrations of `narrate_text` and the like."""
        if self.planned is None:
            raise ParamError("this narration was made of a bare plan; ask the plan itself")
        return self.planned.report()

    def placed(self, engine: PieceEngine, eager: bool = True) -> Iterator[Placed]:
        """Audio block by block, with the piece each belongs to; see `LongForm.pieces` for errors."""
        sample_rate = engine.backend.config.sample_rate
        scorer = self.scorer or DefaultScorer()
        asked = (engine, self.plan, self.params, self.seed, self.options, scorer, self.cancel)
        if self.latency == "low":
            parts = LiveForm(*asked).parts()
            return join_parts(parts, self.plan, sample_rate, self.options, self._advance)
        run = LongForm(*asked, eager)
        return join_pieces(run.pieces(), self.plan, sample_rate, self.options, self._advance)

    def stream(self, engine: PieceEngine) -> Iterator[Waveform]:
        """Audio block by block, each as soon as its piece is there; together the waveform of `clip`."""
        for placed in self.placed(engine, eager=False):
            if len(placed.block):
                yield placed.block

    def clip(self, engine: PieceEngine, listen: Listen | None = None) -> Clip:
        """Everything at once. listen: told each block of it as soon as its piece is there."""
        blocks: list[Waveform] = []
        spoken: list[SpokenPiece] = []
        segments: list[Segment] = []
        for placed in self.placed(engine, eager=listen is None):
            blocks.append(placed.block)
            if listen is not None and len(placed.block):
                listen(placed.block)
            if placed.spoken is not None:
                spoken.append(placed.spoken)
                segments.append(segment_of(placed, placed.spoken))
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
            voice=(self.voice.name or "unnamed") if self.voice else None,
            params=self.params,
            config=engine.backend.config,
            origin=self.origin,
            voice_digest=self.voice.digest if self.voice else None,
            segments=tuple(segments),
            recipe={"long_form": asdict(self._settled), **self.recipe},
        )

    @property
    def _settled(self) -> LongFormOptions:
        """The options with today's defaults in them, so that the clip can be made again."""
        given = self.options
        return replace(given, retries=given.n_retries, keep_seconds=given.kept_seconds)

    @property
    def _advance(self) -> Callable[[float, float], None] | None:
        progress = self.progress
        if progress is None:
            return None
        return lambda done, total: progress(PROGRESS_STAGE, done, total)


class Model(Protocol):
    """What is used of `openbark.api.Bark`."""

    default_params: GenerationParams
    origin: ModelOrigin

    @property
    def reader(self) -> TextReader:
        """How it reads text."""
        ...

    def find_voice(self, voice: str) -> Voice | None:
        """The voice of a name."""
        ...


@dataclass(frozen=True, eq=False)
class Manner:
    """How a text is to be spoken, as callers say it; see `Bark.generate`. lazily: see `longform.plan.plan_script`.
    in_pieces: a piece a sentence even where the text fits one request."""

    seed: int | None = None
    params: GenerationParams | None = None
    options: LongFormOptions | None = None
    scorer: Scorer | None = None
    cancel: Cancel | None = None
    progress: Progress | None = None
    lazily: bool = False
    input_format: str | None = None
    strict: bool = False
    in_pieces: bool = False

    def __post_init__(self) -> None:
        check_params(self.params)
        if self.options is not None and not isinstance(self.options, LongFormOptions):
            raise ParamError(
                f"options must be LongFormOptions or None, is {type(self.options).__name__}; "
                "such as LongFormOptions(split='packed')"
            )
        if self.cancel is not None and not (
            callable(self.cancel) or isinstance(self.cancel, threading.Event)
        ):
            raise ParamError(
                f"cancel is {self.cancel!r}; allowed: a function that returns whether to stop, "
                "a threading.Event, or None"
            )


@dataclass(frozen=True, eq=False)
class Script:
    """A script and who speaks in it; see `Bark.generate_script`."""

    source: str
    speakers: Mapping[str, Voice | None]
    format: str | None = None
    markup: str = "read"


def plan_of_text(model: Model, text: str, voice: Voice | None, how: Manner) -> SpeechPlan:
    """What will be spoken of a text in one voice; subtitles and SSML may name others. Raises TextError or ParamError."""
    asked = TextAsked(text, how.input_format, how.strict)
    in_pieces = how.in_pieces or how.scorer is not None
    return plan_speech(
        model.reader, asked, _voices(model, {}, voice), how.options, in_pieces, how.lazily
    )


def narrate_text(model: Model, text: str, voice: Voice | None, how: Manner) -> Narration:
    """A text, in pieces. Raises TextError, VoiceError or ParamError."""
    return narrate_plan(model, text, plan_of_text(model, text, voice, how), voice, how)


def narrate_plan(
    model: Model, text: str, planned: SpeechPlan, voice: Voice | None, how: Manner
) -> Narration:
    """A text whose plan is there."""
    given = {"input_format": how.input_format} if how.input_format else {}
    return _narration(model, text, planned, voice, how, given)


def plan_of_script(model: Model, script: Script, voice: Voice | None, how: Manner) -> SpeechPlan:
    """What will be spoken of a script; `voice` is that of everything without a name. Raises as `narrate_script`."""
    asked = TextAsked(
        script.source,
        strict=how.strict,
        is_script=True,
        script=script.format,
        speakers=tuple(script.speakers),
        markup=script.markup,
    )
    voices = _voices(model, script.speakers, voice)
    return plan_speech(model.reader, asked, voices, how.options, lazily=how.lazily)


def narrate_script(model: Model, script: Script, voice: Voice | None, how: Manner) -> Narration:
    """A script. Raises TextError, VoiceError or ParamError."""
    planned = plan_of_script(model, script, voice, how)
    recipe = {
        "format": planned.format,
        "markup": script.markup,
        "speakers": {name: each.name if each else None for name, each in script.speakers.items()},
    }
    return _narration(model, script.source, planned, voice, how, {"script": recipe})


def _voices(model: Model, cast: Mapping[str, Voice | None], voice: Voice | None) -> VoiceOf:
    def voice_of(speech: Speech) -> tuple[str | None, Voice | None]:
        name = speech.voice or speech.speaker
        if name is None:
            return None, voice
        return name, cast[name] if name in cast else model.find_voice(name)

    return voice_of


def _narration(
    model: Model,
    text: str,
    planned: SpeechPlan,
    voice: Voice | None,
    how: Manner,
    recipe: Mapping[str, Any],
) -> Narration:
    return Narration(
        text=text,
        plan=planned.plan,
        params=(how.params or GenerationParams()).resolve(model.default_params),
        seed=check_seed(how.seed),
        options=planned.options,
        voice=voice,
        scorer=how.scorer,
        cancel=how.cancel,
        progress=how.progress,
        origin=model.origin,
        recipe=recipe,
        planned=planned,
    )


def segment_of(placed: Placed, spoken: SpokenPiece) -> Segment:
    """What a clip says of a piece."""
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


def options_from(recipe: Mapping[str, Any]) -> LongFormOptions:
    """The options that `Clip.recipe` holds as "long_form". Raises ParamError or TypeError for others."""
    given = dict(recipe)
    return LongFormOptions(**{**given, "pauses": Pauses(**given["pauses"])})
