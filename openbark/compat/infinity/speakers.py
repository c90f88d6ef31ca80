"""Voices in Bark Infinity's words: list them, check them, decode them to audio (parity I5, I6)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openbark.api import Bark, VoiceLike
from openbark.audio import write_audio
from openbark.config import BarkConfig
from openbark.errors import AudioError, VoiceError
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

__all__ = [
    "history_prompt_detailed_report",
    "history_prompt_is_valid",
    "list_speakers",
    "render_npz_samples",
]


def list_speakers(bark: Bark | None = None) -> list[str]:
    """Names of the voices that the model can be given."""
    return list((bark or Bark.load()).voices)


def history_prompt_is_valid(
    history_prompt: VoiceLike | None, config: BarkConfig | None = None
) -> bool:
    """Whether a voice fits a model, Suno's by default."""
    return bool(history_prompt_detailed_report(history_prompt, config)["valid"])


def history_prompt_detailed_report(
    history_prompt: VoiceLike | None, config: BarkConfig | None = None
) -> dict[str, Any]:
    """What a voice holds, and what is wrong with it: keys valid, problem, and where it could be read
    semantic_tokens, coarse_shape, fine_shape, seconds."""
    model = config or BarkConfig()
    report: dict[str, Any] = {"valid": False, "problem": None}
    try:
        voice = _voice(history_prompt)
        report["semantic_tokens"] = len(voice.semantic)
        report["coarse_shape"] = list(voice.coarse.shape)
        report["fine_shape"] = list(voice.fine.shape)
        report["seconds"] = round(voice.seconds(model), 2)
        voice.validate(model)
    except VoiceError as error:
        return report | {"problem": str(error)}
    return report | {"valid": True}


def _voice(history_prompt: VoiceLike | None) -> Voice:
    if isinstance(history_prompt, Voice):
        return history_prompt
    if isinstance(history_prompt, Mapping):
        return Voice.from_arrays(history_prompt)
    if isinstance(history_prompt, (str, os.PathLike)):
        return Voice.load(history_prompt)
    raise VoiceError(
        f"a voice is a path, a Voice or a dictionary of arrays, not {type(history_prompt).__name__}"
    )


def render_npz_samples(
    npz_directory: str | os.PathLike[str] | None = None,
    bark: Bark | None = None,
    output_dir: str | os.PathLike[str] = "bark_samples",
    output_format: str = "wav",
    start_from: str = "fine_prompt",
) -> list[Path]:
    """Decode every voice of a folder (None: the model's own) to an audio file; the files written.

    start_from: "fine_prompt", or "coarse_prompt" for its codebooks alone. Upstream's superpacks are pickles
    and are not read. Raises VoiceError, AudioError.
    """
    if start_from not in ("fine_prompt", "coarse_prompt"):
        raise VoiceError(f"start_from is {start_from!r}; legal: 'fine_prompt', 'coarse_prompt'")
    speaker = bark or Bark.load()
    library = speaker.voices
    if npz_directory is not None:
        if not Path(npz_directory).is_dir():
            raise VoiceError(f"no folder {npz_directory}; give one that holds .npz files")
        library = VoiceLibrary([npz_directory])
    folder = Path(output_dir)
    written = []
    for name in library:
        voice = library.get(name)
        voice.validate(speaker.config)
        codes = voice.fine if start_from == "fine_prompt" else voice.coarse
        target = folder / f"{name}.{output_format}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioError(f"cannot make the folder {folder}: {error.strerror}") from error
        waveform = speaker.backend.codec_decode(codes.copy())  # a voice is read-only
        write_audio(target, waveform, speaker.sample_rate, output_format)
        written.append(target)
    return written
