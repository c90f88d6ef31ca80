"""How commands read a text: its format, by the file's name or as it was asked for, and the model's reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openbark.cli.inputs import Source
from openbark.cli.speech_options import ScriptAsked

if TYPE_CHECKING:
    from openbark.longform.options import LongFormOptions
    from openbark.longform.speech_plan import SpeechPlan, TextAsked
    from openbark.text.reader import TextReader

__all__ = [
    "format_of",
    "input_format_of",
    "open_reader",
    "plan_without_voices",
    "script_of",
    "text_asked",
]


def script_of(
    source: Source, script: ScriptAsked | None, input_format: str | None
) -> ScriptAsked | None:
    """The script options for a source: those given, else those of a subtitle or SSML file, by its name."""
    if script is not None or input_format not in (None, "auto"):
        return script
    kind = format_of(source)
    return ScriptAsked(kind, {}) if kind in ("srt", "ssml") else None


def format_of(source: Source) -> str | None:
    """The format that the file's name tells."""
    from openbark.text.scripts.documents import format_of_file

    return format_of_file(source.path)


def text_asked(
    source: Source, script: ScriptAsked | None, input_format: str | None, strict: bool
) -> TextAsked:
    """How a source is to be read. Raises ParamError for an unknown format."""
    from openbark.longform.speech_plan import TextAsked

    own = script_of(source, script, input_format)
    if own is not None:
        return TextAsked(
            source.text,
            strict=strict,
            is_script=True,
            script=own.format,
            speakers=tuple(own.speakers),
            markup=own.markup,
        )
    return TextAsked(source.text, input_format_of(source, input_format), strict)


def plan_without_voices(
    reader: TextReader, asked: TextAsked, options: LongFormOptions | None
) -> SpeechPlan:
    """What will be spoken; the voices that a script names are not looked up. Raises TextError or ParamError."""
    from openbark.longform.speech_plan import plan_speech

    return plan_speech(
        reader, asked, lambda speech: (speech.voice or speech.speaker, None), options
    )


def input_format_of(source: Source, input_format: str | None) -> str | None:
    """The input format: as given, or what the file's name tells."""
    return format_of(source) or input_format if input_format in (None, "auto") else input_format


def open_reader(model: str | None) -> TextReader:
    """The reader of a model, without its weights. Raises CheckpointError."""
    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.checkpoints.find import find_checkpoint
    from openbark.text.reader import TextReader
    from openbark.text.tokenizer import Tokenizer

    checkpoint = open_checkpoint(find_checkpoint(model))
    return TextReader(checkpoint.config, Tokenizer.load(checkpoint.tokenizer_path))
