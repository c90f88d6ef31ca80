"""The checks of a speech request: everything that can be known before it has a place, from the request alone.

Reads no file and touches no model; what is found wrong is an ApiError naming the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from openbark.audio.aac import has_aac
from openbark.longform.options import LongFormOptions, Pauses
from openbark.params import GenerationParams
from openbark.server.errors import invalid
from openbark.server.settings import ServerSettings
from openbark.server.speech.protocol import SpeechRequest, VoiceId
from openbark.text.scripts.items import Pause
from openbark.text.scripts.read import parse_script
from openbark.text.speech_length import expected_seconds
from openbark.text.split.sentence_words import LANGUAGES

ENCODERS = {
    "mp3": "mp3",
    "opus": "ogg",
    "aac": "aac",
    "flac": "flac",
    "wav": "wav",
    "pcm": "pcm",
}
"""Names of `openbark.audio.open_encoder`, by response_format."""

_PARAM_FIELDS = (
    "temperature",
    "semantic_temperature",
    "coarse_temperature",
    "fine_temperature",
    "top_k",
    "top_p",
    "min_eos_p",
    "max_seconds",
)

MODEL_ALIASES = ("bark", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""Names that mean "the model that is loaded", for clients with fixed names."""

# OpenAI's dated names, such as tts-1-1106 and gpt-4o-mini-tts-2025-12-15.
_DATED_ALIAS = re.compile(r"(tts-1|tts-1-hd|gpt-4o-mini-tts)-[0-9][0-9-]{0,15}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{2,8}){0,3}")

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


@dataclass(frozen=True, eq=False)
class Job:
    """A speech request after its checks: ready to be admitted and spoken. language: a code, or None."""

    request: SpeechRequest
    owner: str
    request_id: str
    seed: int
    voice: str | None
    language: str | None
    estimate: Estimate


def is_model_alias(name: str) -> bool:
    """Whether a name means the loaded model, whatever that is called: OpenAI's names, dated ones too, and ""."""
    return name in MODEL_ALIASES or not name.strip() or bool(_DATED_ALIAS.fullmatch(name))


def check_request(request: SpeechRequest, settings: ServerSettings) -> None:
    """Raise ApiError 400 for a text, a format or a combination of options that cannot be spoken here."""
    limit = settings.max_input_chars
    if not request.input.strip():
        raise invalid("input_empty", "input is empty; give a text to speak", "input")
    if len(request.input) > limit:
        raise invalid(
            "input_too_long",
            f"input has {len(request.input)} characters; this server takes {limit} at once; send it in parts",
            "input",
        )
    _check_characters(request.input)
    if request.response_format == "aac" and not has_aac():
        raise invalid(
            "format_unsupported",
            'this server cannot write aac: pip install "openbark[av]" on its machine; allowed: '
            f"{', '.join(name for name in ENCODERS if name != 'aac')}",
            "response_format",
        )
    _check_latency(request)


def estimate_request(request: SpeechRequest) -> Estimate:
    """How long a request lasts before it is spoken, from its letters, its breaks and the times of its cues.

    Raises InputError for a script that cannot be read.
    """
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


def check_estimate(estimate: Estimate, settings: ServerSettings, speed: float | None) -> None:
    """Raise ApiError 400 for a request that is too long in seconds, or cannot be made within `total_timeout` at
    the measured `speed`."""
    limit = settings.max_request_seconds
    if estimate.held > limit:
        raise invalid(
            "input_too_long",
            f"input lasts about {estimate.held:.0f} s, its pauses included; this server takes {limit:g} s "
            "at once; send it in parts",
            "input",
        )
    if settings.total_timeout is None or speed is None:
        return
    needed = estimate.work / max(speed, 1e-3)
    if needed > settings.total_timeout:
        raise invalid(
            "input_too_long",
            f"this server would need about {needed:.0f} s for input, its limit is {settings.total_timeout:g} s; "
            "send it in parts",
            "input",
        )


def voice_name(voice: str | VoiceId | None) -> str | None:
    """The name of the voice that is asked for; None and "" leave it to the model."""
    name = voice.id if isinstance(voice, VoiceId) else voice
    return name or None


def language_of(request: SpeechRequest) -> str | None:
    """The language of a request as one of LANGUAGES. Raises ApiError 400 for another one."""
    if request.language is None or not request.language.strip():
        return None
    found = _LANGUAGE.fullmatch(request.language.strip())
    code = found[1].lower() if found else ""
    if code not in LANGUAGES:
        raise invalid(
            "language_unsupported",
            f"language {request.language!r} is not supported; allowed: {', '.join(LANGUAGES)}, or none to "
            "recognise it from the text",
            "language",
        )
    return code


def long_form_of(request: SpeechRequest, language: str | None) -> LongFormOptions:
    """How the text is cut and joined: every field of LongFormOptions that a request has by the same name, and its
    pauses as `sentence_pause` and so on; what the request leaves out takes the library's default."""
    given = {each.name: getattr(request, each.name, None) for each in fields(LongFormOptions)}
    pauses = {each.name: getattr(request, f"{each.name}_pause", None) for each in fields(Pauses)}
    given.update(language=language, pauses=Pauses(**_set(pauses)))
    return LongFormOptions(**_set(given))


def params_of(request: SpeechRequest, defaults: GenerationParams) -> GenerationParams:
    """The model's own settings, with those in their place that the request names."""
    return defaults.with_named(_set({name: getattr(request, name) for name in _PARAM_FIELDS}))


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _check_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(
            "input_invalid",
            f"input holds half of a character (a lone surrogate) at position {error.start}; send whole "
            "Unicode characters",
            "input",
        ) from error


def _check_latency(request: SpeechRequest) -> None:
    """Refuse before the queue what `longform.live.check_live_options` refuses in it."""
    if request.latency != "low":
        return
    for name, value, most in (("retries", request.retries, 0), ("best_of", request.best_of, 1)):
        if value is not None and value > most:
            raise invalid(
                "parameter_invalid",
                f"{name} is {value} with latency 'low'; allowed: {most} or null, as a piece is heard while it is "
                "made; leave it out, or take latency 'sentence'",
                name,
            )
