"""Files of Bark Infinity: their names, the clip, the voice beside it, and with hoarder_mode every segment.

Nothing is overwritten. Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.audio import write_audio
from openbark.compat.infinity.options import resolve
from openbark.compat.infinity.segments import Segment
from openbark.errors import AudioError
from openbark.voices.voice import Voice

_MAX_NAME = 60


@dataclass(frozen=True)
class Written:
    """Files of one clip: the audio, its voice, and with hoarder_mode those of each segment."""

    audio: Path
    voice: Path | None
    segments: tuple[Path, ...] = ()


def joined(
    segments: Sequence[Segment], silence_seconds: float, sample_rate: int
) -> NDArray[np.float32]:
    """One waveform [L], with silence after each segment, the last included (as upstream)."""
    silence = np.zeros(round(silence_seconds * sample_rate), dtype=np.float32)
    return np.concatenate([piece for one in segments for piece in (one.waveform, silence)])


def whole_voice(segments: Sequence[Segment]) -> Voice:
    """What is saved beside a clip: the voice of its first segment (docs/parity.md I2)."""
    return segments[0].voice


def file_stem(text: str, voice: str | None, moment: datetime) -> str:
    """`text-date-SPK-voice`, as upstream names its files."""
    words = re.sub(r"[^\w]+", "_", text).strip("_")[:_MAX_NAME] or "clip"
    speaker = re.sub(r"[^\w]+", "_", Path(voice).stem if voice else "random").strip("_")
    return f"{words}-{moment:%y-%m-%d-%H%M}-SPK-{speaker}"


def free_path(folder: Path, stem: str, suffix: str) -> Path:
    """`stem.suffix` in a folder, or the first `stem_1.suffix`, `stem_2.suffix`, ... that is not there yet."""
    path, number = folder / f"{stem}.{suffix}", 1
    while path.exists():
        path = folder / f"{stem}_{number}.{suffix}"
        number += 1
    return path


def output_folder(folder: Path) -> Path:
    """`folder` itself, made if need be. Raises AudioError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder


def write_clip(
    segments: Sequence[Segment], prompt: str, given: Mapping[str, Any], sample_rate: int
) -> Written:
    """Write the clip, its voice, and with `hoarder_mode` each segment of several.

    Raises AudioError or VoiceError.
    """
    values = resolve(given)
    folder = output_folder(Path(values["output_dir"]).expanduser())
    suffix = values["output_format"]
    name = values["output_filename"]
    if name is not None:
        stem = Path(name).name.removesuffix(f".{suffix}")
    else:
        stem = file_stem(prompt, _spoken_name(values["history_prompt"]), datetime.now())
    audio = free_path(folder, stem, suffix)
    waveform = joined(segments, values["add_silence_between_segments"], sample_rate)
    write_audio(audio, waveform, sample_rate, suffix)
    voice = None
    if values["always_save_speaker"]:
        voice = audio.with_name(f"{audio.name}.npz")
        whole_voice(segments).save(voice)
    pieces = []
    if values["hoarder_mode"] and len(segments) > 1:
        for index, segment in enumerate(segments):
            piece = audio.with_name(f"{audio.stem}_segment_{index + 1}.{suffix}")
            write_audio(piece, segment.waveform, sample_rate, suffix)
            segment.voice.save(piece.with_name(f"{piece.name}.npz"))
            pieces.append(piece)
    return Written(audio, voice, tuple(pieces))


def _spoken_name(history_prompt: object) -> str | None:
    if isinstance(history_prompt, Voice):
        return history_prompt.name or "voice"
    if isinstance(history_prompt, Mapping):
        return "voice"
    return None if history_prompt is None else str(history_prompt)
