"""Long texts and scripts to clips: a plan run on an engine, and what came of each piece reported.

Between `openbark.api`, which knows models and voices, and `openbark.engine.longform`, which knows neither text
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
from openbark.config import BarkConfig
from openbark.engine.live_longform import LiveForm, check_live_options
from openbark.engine.longform import LongForm, PieceEngine
from openbark.engine.longform_options import LongFormOptions, Pauses
from openbark.engine.plan import Plan, plan_script, plan_text
from openbark.engine.request import Cancel, Listen, Progress, Tokens, check_latency
from openbark.engine.scoring import DefaultScorer, Scorer
from openbark.engine.spoken import Placed, SpokenPiece, join_parts, join_pieces
from openbark.errors import ParamError
from openbark.params import GenerationParams, check_params, check_seed
from openbark.result import Clip, ClipTokens, ModelOrigin, Segment
from openbark.stages.semantic import StopReason
from openbark.text.script import parse_script, script_format
from openbark.text.script_items import Speech
from openbark.text.tokenizer import squeeze
from openbark.voices.voice import Voice

__all__ = [
    "PROGRESS_STAGE",
    "Manner",
    "Model",
    "Narration",
    "Script",
    "narrate_script",
    "narrate_text",
    "options_from",
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
    no piece is made again, compared or trimmed.

    Raises ParamError for another latency than LATENCIES, and for "low" with what it cannot do
    (`engine.live_longform.check_live_options`).
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

    def __post_init__(self) -> None:
        check_latency(self.latency)
        if self.latency == "low":
            check_live_options(self.options, self.scorer)

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
    def config(self) -> BarkConfig:
        """Sizes and rules of the model."""
        ...

    def read(self, text: str) -> tuple[str, Tokens]:
        """A text as the model reads it, and its tokenizer ids [N]."""
        ...

    def find_voice(self, voice: str) -> Voice | None:
        """The voice of a name."""
        ...


@dataclass(frozen=True, eq=False)
class Manner:
    """How a text is to be spoken, as callers say it; see `Bark.generate`. lazily: see `engine.plan.plan_script`."""

    seed: int | None = None
    params: GenerationParams | None = None
    options: LongFormOptions | None = None
    scorer: Scorer | None = None
    cancel: Cancel | None = None
    progress: Progress | None = None
    lazily: bool = False

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
    markup: str = "error"


def narrate_text(model: Model, text: str, voice: Voice | None, how: Manner) -> Narration:
    """A plain text in one voice. Raises TextError or ParamError."""
    squeeze(text)
    options = how.options or LongFormOptions()
    plan = plan_text(text, model.read, voice, model.config, options, how.lazily)
    return _narration(model, text, plan, voice, how, {})


def narrate_script(model: Model, script: Script, voice: Voice | None, how: Manner) -> Narration:
    """A script; `voice` is that of everything nobody else says. Raises TextError, VoiceError or ParamError."""
    cast = script.speakers

    def voice_of(speech: Speech) -> tuple[str | None, Voice | None]:
        name = speech.voice or speech.speaker
        if name is None:
            return None, voice
        return name, cast[name] if name in cast else model.find_voice(name)

    options = how.options or LongFormOptions()
    items = parse_script(script.source, script.format, tuple(cast), script.markup)
    plan = plan_script(items, model.read, voice_of, model.config, options, how.lazily)
    recipe = {
        "format": script_format(script.source, script.format),
        "markup": script.markup,
        "speakers": {name: each.name if each else None for name, each in cast.items()},
    }
    return _narration(model, script.source, plan, voice, how, {"script": recipe})


def _narration(
    model: Model,
    text: str,
    plan: Plan,
    voice: Voice | None,
    how: Manner,
    recipe: Mapping[str, Any],
) -> Narration:
    return Narration(
        text=text,
        plan=plan,
        params=(how.params or GenerationParams()).resolve(model.default_params),
        seed=check_seed(how.seed),
        options=how.options or LongFormOptions(),
        voice=voice,
        scorer=how.scorer,
        cancel=how.cancel,
        progress=how.progress,
        origin=model.origin,
        recipe=recipe,
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
