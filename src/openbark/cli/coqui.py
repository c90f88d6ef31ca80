"""`openbark coqui`: Coqui's `tts` command line for Bark (docs/parity.md C34)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from openbark.cli.process import share_cores
from openbark.errors import VoiceError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _switch(name: str, default: bool, about: str) -> Callable[[_Command], _Command]:
    """An option that may stand alone or carry a truth value: `--progress_bar`, `--progress_bar True`."""
    return click.option(
        name,
        type=click.BOOL,
        is_flag=False,
        flag_value=True,
        default=default,
        show_default=True,
        help=about,
    )


@click.command()
@click.option("--text", help="What to say.")
@click.option("--model_name", help="tts_models/multilingual/multi-dataset/bark, the only one here.")
@click.option("--out_path", default="tts_output.wav", show_default=True, help="File to write.")
@click.option("--voice_dir", help="Folder of voice folders.")
@click.option("--speaker_idx", help="Voice of the folder, or of the model. [default: a random one]")
@click.option("--speaker_wav", multiple=True, help="Recording to clone: not in this version.")
@click.option("--language_idx", help="Bark has no languages to choose.")
@_switch("--use_cuda", False, "Use a GPU where there is one.")
@click.option("--device", help="cpu, cuda, ... [default: cpu]")
@_switch("--progress_bar", True, "Show a progress bar.")
@_switch("--pipe_out", False, "Also write the WAV file to stdout.")
@_switch("--list_models", False, "List the models and stop.")
@_switch("--list_speaker_idxs", False, "List the voices and stop.")
@_switch("--list_language_idxs", False, "List the languages and stop.")
@click.option("--model_info_by_idx", help="Describe the model and stop.")
@click.option("--model_info_by_name", help="Describe the model and stop.")
@click.option("--model_path", help="Checkpoint folder instead of the model that is found.")
@click.option("--config_path", help="Not read: the checkpoint has its own.")
def coqui(
    text: str | None,
    model_name: str | None,
    out_path: str,
    voice_dir: str | None,
    speaker_idx: str | None,
    speaker_wav: tuple[str, ...],
    language_idx: str | None,
    use_cuda: bool,
    device: str | None,
    progress_bar: bool,
    pipe_out: bool,
    list_models: bool,
    list_speaker_idxs: bool,
    list_language_idxs: bool,
    model_info_by_idx: str | None,
    model_info_by_name: str | None,
    model_path: str | None,
    config_path: str | None,
) -> None:
    """Coqui's `tts` command with Bark: the same options, after the word coqui."""
    from openbark.compat.coqui.api import TTS
    from openbark.compat.coqui.config import MODEL_NAME

    if list_models or model_info_by_idx or model_info_by_name:
        about = "" if list_models else ": text to speech, 13 languages with Suno's weights"
        click.echo(f"{MODEL_NAME}{about}")
        return
    if list_language_idxs:
        click.echo("Bark has no languages to choose; the text decides", err=True)
        return
    if text is None and not list_speaker_idxs:
        raise click.UsageError("give a --text, or one of the --list options")
    if voice_dir is not None and not Path(voice_dir).is_dir():
        raise VoiceError(f"no voice folder at {voice_dir}")
    share_cores()
    name = model_name or (MODEL_NAME if model_path is None else "")
    tts = TTS(name, model_path, config_path, progress_bar=progress_bar, gpu=use_cuda)
    if device is not None:
        tts.to(device)
    if list_speaker_idxs:
        _list_speakers(tts.speakers, voice_dir)
        return
    written = tts.tts_to_file(
        text or "",
        speaker_idx,
        language_idx,
        list(speaker_wav) or None,
        file_path=out_path,
        voice_dir=voice_dir,
        pipe_out=sys.stdout if pipe_out else None,
    )
    click.echo(f"wrote {written}", err=True)


def _list_speakers(known: list[str], voice_dir: str | None) -> None:
    from openbark.compat.coqui.voice_folders import list_coqui_voices

    found = list_coqui_voices(Path(voice_dir)) if voice_dir else []
    for name in sorted({*known, *found}):
        click.echo(name)
