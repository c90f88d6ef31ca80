"""How commands read a text: its format, by the file's name or as an option says, and the model's reader."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openbark.cli.inputs import Source

if TYPE_CHECKING:
    from openbark.speech.options import SpeechOptions
    from openbark.speech.plan import SpeechPlan
    from openbark.text.reader import TextReader

__all__ = ["open_reader", "options_for", "plan_without_voices"]


def options_for(source: Source, options: SpeechOptions) -> SpeechOptions:
    """The options of one source: what they leave open of its format is told by the file's name."""
    from openbark.speech.options import ScriptOptions
    from openbark.text.scripts.documents import format_of_file

    named = format_of_file(source.path)
    if named is None or options.script is not None or options.input_format not in (None, "auto"):
        return options
    if named in ("srt", "ssml"):
        return replace(options, script=ScriptOptions(named))
    return replace(options, input_format=named)


def plan_without_voices(reader: TextReader, source: Source, options: SpeechOptions) -> SpeechPlan:
    """What will be spoken; the voices that a script names are not looked up. Raises TextError or ParamError."""
    from openbark.speech.plan import plan_speech

    own = options_for(source, options)
    return plan_speech(
        reader, source.text, own, lambda speech: (speech.voice or speech.speaker, None)
    )


def open_reader(model: str | None) -> TextReader:
    """The reader of a model, without its weights. Raises CheckpointError."""
    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.checkpoints.find import find_checkpoint
    from openbark.text.reader import TextReader
    from openbark.text.tokenizer import Tokenizer

    checkpoint = open_checkpoint(find_checkpoint(model))
    return TextReader(checkpoint.config, Tokenizer.load(checkpoint.tokenizer_path))
