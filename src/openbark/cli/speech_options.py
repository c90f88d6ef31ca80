"""The options of `openbark say` that say how a text is spoken and what is done to the audio afterwards.

Only what the user gave is collected; what is left open is the model's or the library's default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openbark.cli.choices import LANGUAGE, MARKUP, POLICY, SCRIPT, SPLIT
from openbark.params import GenerationParams

if TYPE_CHECKING:
    from openbark.audio import Edits
    from openbark.speech.options import ScriptOptions, SpeechOptions
    from openbark.voices.voice import VoiceLike

_SAMPLING_KEY = "openbark.sampling"


@dataclass(frozen=True, slots=True)
class SamplingOption:
    """One option: which field of which stage it sets."""

    stage: str
    field: str
    type: click.ParamType[Any]
    help: str

    @property
    def flag(self) -> str:
        """The option as typed."""
        stage = "" if self.field == "min_eos_p" else f"{self.stage}-"
        return f"--{stage}{self.field.replace('_', '-')}"


_TEMPERATURE = "0 is greedy; higher is more varied."
_TOP_K = "Keep the K most likely tokens."
_TOP_P = "Keep the likeliest tokens up to this probability."

SAMPLING_OPTIONS: tuple[SamplingOption, ...] = (
    SamplingOption("semantic", "temperature", click.FLOAT, _TEMPERATURE),
    SamplingOption("semantic", "top_k", click.INT, _TOP_K),
    SamplingOption("semantic", "top_p", click.FLOAT, _TOP_P),
    SamplingOption("semantic", "min_eos_p", click.FLOAT, "Stop once the end is this likely."),
    SamplingOption("coarse", "temperature", click.FLOAT, _TEMPERATURE),
    SamplingOption("coarse", "top_k", click.INT, _TOP_K),
    SamplingOption("coarse", "top_p", click.FLOAT, _TOP_P),
    SamplingOption("fine", "temperature", click.FLOAT, _TEMPERATURE),
)


def _collector(option: SamplingOption) -> Callable[[click.Context, click.Parameter, Any], None]:
    def collect(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.meta.setdefault(_SAMPLING_KEY, {})[(option.stage, option.field)] = value

    return collect


def sampling_options(command: _Command) -> _Command:
    """Decorator: adds the options of SAMPLING_OPTIONS; `given_params` reads them."""
    for option in reversed(SAMPLING_OPTIONS):
        command = click.option(
            option.flag,
            type=option.type,
            expose_value=False,
            callback=_collector(option),
            help=option.help,
        )(command)
    return command


def given_params(
    ctx: click.Context, greedy: bool, max_seconds: float | None
) -> Callable[[GenerationParams], GenerationParams]:
    """A function from a model's defaults to the params to use, checked before any model is loaded.

    Raises ParamError naming the stage for a value outside its range.
    """
    given: dict[tuple[str, str], Any] = ctx.meta.get(_SAMPLING_KEY, {})
    if greedy and given:
        flags = [
            option.flag for option in SAMPLING_OPTIONS if (option.stage, option.field) in given
        ]
        raise click.UsageError(f"--greedy leaves nothing to draw; drop it, or {', '.join(flags)}")

    def apply(defaults: GenerationParams) -> GenerationParams:
        if greedy:
            return GenerationParams.greedy(max_semantic_seconds=max_seconds)
        named = {f"{stage}_{field}": value for (stage, field), value in given.items()}
        return defaults.with_named({**named, "max_seconds": max_seconds})

    apply(GenerationParams())
    return apply


_Command = TypeVar("_Command", bound=Callable[..., Any])

_META_KEY = "openbark.speech"
_REPEATED = "--speaker"

_LONG_FORM: tuple[tuple[str, click.ParamType[Any] | None, str], ...] = (
    (
        "--split",
        SPLIT,
        "Where long text is cut; packed is as much as fits.",
    ),
    (
        "--policy",
        POLICY,
        "Whose voice each piece continues: the given one, the piece before, or both.",
    ),
    (
        "--language",
        LANGUAGE,
        "Language of the rules of splitting. [default: guessed]",
    ),
    ("--retries", click.INT, "How often a piece that ran away is made again."),
    ("--best-of", click.INT, "Make each piece this often, keep the best."),
)
_EDITS: tuple[tuple[str, click.ParamType[Any] | None, str], ...] = (
    ("--trim", None, "Cut the silence at both ends, but for 0.15 s."),
    ("--speed", click.FLOAT, "0.5 to 2, at the same pitch."),
    ("--sample-rate", click.INT, "Hz. [default: the model's]"),
    (
        "--loudness",
        click.FLOAT,
        "Bring the audio to this loudness in LUFS, such as -16; never clips.",
    ),
)
_MARK: tuple[tuple[str, click.ParamType[Any] | None, str], ...] = (
    ("--no-watermark", None, "Leave out the inaudible mark that says the speech is generated."),
)
_READING: tuple[tuple[str, click.ParamType[Any] | None, str], ...] = (
    (
        "--input-format",
        click.Choice(["auto", "text", "markdown", "html"]),
        "What the text is written in. [default: by the file's name, else auto: what it plainly is]",
    ),
    (
        "--strict",
        None,
        "Refuse what has no sound, and markup without effect, instead of leaving it out.",
    ),
)
_SCRIPT: tuple[tuple[str, click.ParamType[Any] | None, str], ...] = (
    (
        "--script",
        SCRIPT,
        "Read the text as a script: text (NAME: lines, [pause:500ms], [voice:x]), ssml or srt (also WebVTT).",
    ),
    (
        "--speaker",
        click.STRING,
        "NAME=VOICE, who speaks the lines of NAME in a script; again for more.",
    ),
    (
        "--markup",
        MARKUP,
        "Unknown markup in a script: read the words in it, speak it as written, or refuse it.",
    ),
)


def speech_options(command: _Command) -> _Command:
    """Decorator: adds the options; `given_speech` and `given_edits` read them."""
    for flag, kind, text in reversed((*_LONG_FORM, *_READING, *_SCRIPT, *_EDITS, *_MARK)):
        settings: dict[str, Any] = {"is_flag": True} if kind is None else {"type": kind}
        if flag == _REPEATED:
            settings["multiple"] = True
        command = click.option(flag, expose_value=False, callback=_collect, help=text, **settings)(
            command
        )
    return command


def given_speech(
    ctx: click.Context, voice: str | None = None, seed: int | None = None, latency: str = "sentence"
) -> SpeechOptions:
    """How each text is spoken. Raises ParamError for values outside, UsageError for a speaker without a voice."""
    from openbark.longform.options import LongFormOptions
    from openbark.speech.options import SpeechOptions

    long_form, reading = _given(ctx, _LONG_FORM), _given(ctx, _READING)
    return SpeechOptions(
        voice=voice,
        seed=seed,
        long_form=LongFormOptions(**long_form) if long_form else None,
        script=_script(_given(ctx, _SCRIPT)),
        latency=latency,
        **reading,
    )


def given_edits(ctx: click.Context) -> Edits:
    """What is done to the audio afterwards. Raises ParamError for values outside."""
    from openbark.audio import Edits

    return Edits(**_given(ctx, _EDITS))


def given_watermark(ctx: click.Context) -> bool:
    """Whether the audio is marked as generated. Raises ParamError for an empty key, before any work."""
    from openbark.watermark import watermark_key

    return not _given(ctx, _MARK) and bool(watermark_key())


def _script(given: Mapping[str, Any]) -> ScriptOptions | None:
    from openbark.speech.options import ScriptOptions

    if not given:
        return None
    speakers: dict[str, VoiceLike | None] = {}
    for pair in given.get("speaker", ()):
        name, equals, voice = pair.partition("=")
        if not (name and equals and voice):
            raise click.UsageError(f"--speaker {pair}: say NAME=VOICE, such as ANNA=en_1")
        speakers[name] = voice
    return ScriptOptions(given.get("script", "text"), speakers, given.get("markup", "read"))


def _collect(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    # Not by truth: 0 may have been given.
    if value is not None and value is not False and value != ():
        ctx.meta.setdefault(_META_KEY, {})[parameter.name] = value


def _given(
    ctx: click.Context, options: tuple[tuple[str, click.ParamType[Any] | None, str], ...]
) -> dict[str, Any]:
    names = {flag.removeprefix("--").replace("-", "_") for flag, _, _ in options}
    given: dict[str, Any] = ctx.meta.get(_META_KEY, {})
    return {name: value for name, value in given.items() if name in names}
