"""A text to what the engine is asked for: one request where that is enough, else a narration; and one notice of what
is left out. Between `openbark.api` and `openbark.narration`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openbark.config import BarkConfig
from openbark.engine.request import CascadeResult, Request, Tokens, Waveform
from openbark.errors import TextError
from openbark.longform.speech_plan import SpeechPlan
from openbark.narration import Manner, Model, Narration, narrate_plan, plan_of_text
from openbark.params import check_params, check_seed
from openbark.result import Clip, ClipTokens, ModelOrigin
from openbark.voices.voice import Voice

__all__ = ["Asked", "ask", "clip_of", "notify", "request_of", "told_at_the_end"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Asked:
    """What a text became: its plan, and the work for the engine. recipe: of the clip."""

    planned: SpeechPlan
    work: Request | Narration
    recipe: Mapping[str, Any]

    @property
    def normalized(self) -> str:
        """The text of the one request, as it was read."""
        return self.planned.plan.pieces[0].normalized


def ask(model: Model, text: str, voice: Voice | None, how: Manner) -> Asked:
    """Plan a text, and say once what is left out of it. Raises TextError, VoiceError or ParamError."""
    if not isinstance(text, str):
        raise TextError(f"a text is a string, not {type(text).__name__}")
    planned = plan_of_text(model, text, voice, how)
    if not how.lazily:
        notify(planned)
    recipe = {"input_format": how.input_format} if how.input_format else {}
    if not planned.is_one_request:
        return Asked(planned, narrate_plan(model, text, planned, voice, how), recipe)
    return Asked(planned, request_of(model, planned.plan.pieces[0].text_tokens, voice, how), recipe)


def request_of(model: Model, text_tokens: Tokens, voice: Voice | None, how: Manner) -> Request:
    """The request that speaks these tokens."""
    return Request(
        text_tokens=text_tokens,
        params=check_params(how.params).resolve(model.default_params),
        seed=check_seed(how.seed),
        voice=voice,
        cancel=how.cancel,
        progress=how.progress,
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


def notify(planned: SpeechPlan | None) -> None:
    """One warning in the log that names what is left out, if anything is."""
    if planned is not None and planned.notice:
        _LOG.warning("%s", planned.notice)


def told_at_the_end(blocks: Iterator[Waveform], planned: SpeechPlan) -> Iterator[Waveform]:
    """`blocks`, then the notice: when all pieces were read it is known."""
    yield from blocks
    notify(planned)
