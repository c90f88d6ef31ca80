"""Audio files on disk: checked before the work, written whole or not at all, read whatever their format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from openbark.audio.bounded import open_from_start
from openbark.audio.encoders import encode_audio
from openbark.audio.formats import output_format
from openbark.errors import AudioError
from openbark.files import check_writable, write_atomically
from openbark.types import Waveform

_BLOCK = 1 << 16


def check_output(path: Path, format: str | None = None) -> str:
    """The format that `write_audio` would use, after checking that `path` can be written (AudioError)."""
    name = output_format(path, format)
    try:
        check_writable(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    return name


def write_audio(
    target: str | os.PathLike[str] | BinaryIO,
    waveform: Waveform,
    sample_rate: int,
    format: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a waveform [L] to a path (whole or not at all) or to a binary stream.

    format: a key of FORMATS; None takes it from the path's suffix, and WAV for a stream.
    Raises AudioError when the format is unknown or the target cannot be written.
    """
    if isinstance(target, (str, os.PathLike)):
        path = Path(target)
        data = encode_audio(waveform, sample_rate, output_format(path, format), metadata)
        try:
            write_atomically(path, data)
        except OSError as error:
            raise _unwritable(path, error) from error
        return
    data = encode_audio(waveform, sample_rate, format or "wav", metadata)
    try:
        target.write(data)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot write audio to the stream: {error}") from error


def read_audio(path: str | os.PathLike[str]) -> tuple[Waveform, int]:
    """Read any file libsndfile reads: mono float32 samples [L] (channels averaged) and the sample rate.

    Raises AudioError when the file is missing, is not audio, or holds no sample.
    """
    import soundfile

    source = Path(path)
    if not source.is_file():
        raise AudioError(f"no audio file at {source}")
    blocks = []
    try:
        with open_from_start(source) as stream:
            sample_rate = stream.samplerate
            while len(block := stream.read(_BLOCK, dtype="float32", always_2d=True)):
                blocks.append(block)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise AudioError(
            f"{source} cannot be read as audio ({error}); WAV, FLAC, MP3 and Ogg files can"
        ) from error
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), dtype=np.float32)
    if len(samples) == 0:
        raise AudioError(f"{source} holds no audio samples")
    if not np.isfinite(samples).all():
        raise AudioError(f"{source} holds samples that are not finite numbers")
    return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32)), int(sample_rate)


def stored_format(path: Path) -> str:
    """The key of FORMATS that a file is in, by its content. Raises AudioError for one that is in none."""
    import soundfile

    if not path.is_file():
        raise AudioError(f"no audio file at {path}")
    try:
        found = soundfile.info(path)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{path} cannot be read as audio ({error})") from error
    kinds = {("WAV", "PCM_16"): "wav", ("WAV", "FLOAT"): "f32", ("FLAC", "PCM_16"): "flac"}
    kinds |= {("MP3", "MPEG_LAYER_III"): "mp3", ("OGG", "OPUS"): "ogg"}
    if (found.format, found.subtype) not in kinds:
        raise AudioError(f"{path} is {found.format} {found.subtype}, which openbark does not write")
    return kinds[found.format, found.subtype]


def _unwritable(path: Path, error: OSError) -> AudioError:
    reason = str(error) if error.errno is None else os.strerror(error.errno)
    return AudioError(f"cannot write {path}: {reason}; choose another file or folder")
