"""How a text is spoken: the one object that Python, the command line, the server, batches and replay fill in.

Frozen, checked once. Knows no model: a voice may still be a name or a path here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from openbark.engine.request import check_latency
from openbark.errors import ParamError
from openbark.longform.live import check_live_options
from openbark.longform.options import LongFormOptions
from openbark.longform.scoring import Scorer
from openbark.params import GenerationParams, check_params
from openbark.types import Cancel, Progress
from openbark.voices.voice import VoiceLike


@dataclass(frozen=True)
class ScriptOptions:
    """How a text is read as a script.

    format: a key of `text.scripts.read.SCRIPT_FORMATS`; None tells "ssml" from "text". speakers: names that may
    stand before a colon, each with its voice. markup: what becomes of unknown markup: "read" speaks the words in
    it, "speak" the markup as written, "error" refuses it.
    """

    format: str | None = None
    speakers: Mapping[str, VoiceLike | None] = field(default_factory=dict)
    markup: str = "read"


@dataclass(frozen=True, eq=False)
class SpeechOptions:
    """How a text is spoken; see `Bark.generate` for each.

    voice: None lets the model choose; seed: None draws one; params: a stage of None takes the model's.
    long_form: how a text in pieces is cut and joined; None lets a text that fits one request be one.
    scorer: judges attempts at pieces, so that the text is always cut. script: None for a plain text.
    latency: one of `engine.request.LATENCIES`. cancel and progress: of this one run.
    Raises ParamError for a value of the wrong kind, and for what latency "low" cannot do.
    """

    voice: VoiceLike | None = None
    seed: int | None = None
    params: GenerationParams | None = None
    long_form: LongFormOptions | None = None
    script: ScriptOptions | None = None
    input_format: str | None = None
    strict: bool = False
    latency: str = "sentence"
    scorer: Scorer | None = None
    cancel: Cancel | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        check_params(self.params)
        if self.long_form is not None and not isinstance(self.long_form, LongFormOptions):
            raise ParamError(
                f"options must be LongFormOptions or None, is {type(self.long_form).__name__}; "
                "such as LongFormOptions(split='packed')"
            )
        if self.cancel is not None and not (
            callable(self.cancel) or isinstance(self.cancel, threading.Event)
        ):
            raise ParamError(
                f"cancel is {self.cancel!r}; allowed: a function that returns whether to stop, "
                "a threading.Event, or None"
            )
        check_latency(self.latency)
        if self.latency == "low":
            check_live_options(self.long_form or LongFormOptions(), self.scorer)
