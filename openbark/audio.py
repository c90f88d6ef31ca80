"""Waveforms to files and back, and from one sample rate to another.

A waveform is float32 samples in [-1, 1], shape `[L]`, mono. WAV is written here; the other formats go
through soundfile (libsndfile). Knows nothing of models or voices.
"""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from openbark.errors import AudioError
from openbark.files import check_writable, write_atomically

__all__ = [
    "FORMATS",
    "Waveform",
    "check_output",
    "encode_audio",
    "output_format",
    "pcm16",
    "read_audio",
    "resample",
    "write_audio",
]

Waveform = NDArray[np.float32]
"""Mono samples [L] in [-1, 1]."""

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "wav": "16-bit PCM WAV, plays everywhere",
        "f32": "32-bit float WAV, exact",
        "flac": "16-bit FLAC, lossless",
        "mp3": "MP3",
        "ogg": "Ogg Opus",
        "pcm": "raw 16-bit little-endian samples, no header",
    }
)
"""Formats by name, with what each is."""

_SUFFIXES = MappingProxyType(
    {
        ".wav": "wav",
        ".wave": "wav",
        ".flac": "flac",
        ".mp3": "mp3",
        ".ogg": "ogg",
        ".opus": "ogg",
        ".pcm": "pcm",
        ".raw": "pcm",
    }
)
_SOUNDFILE = MappingProxyType(
    {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "OPUS")}
)
_WAV_TAGS = MappingProxyType({"title": b"INAM", "comment": b"ICMT", "software": b"ISFT"})
_WAV_PCM, _WAV_FLOAT = 1, 3
_PCM16_SCALE = 32767.0
_MAX_WAV_BYTES = 2**32 - 2**16

_ZERO_CROSSINGS = 32
_ROLLOFF = 0.945
_KAISER_BETA = 9.0
_ROWS_AT_ONCE = 1 << 14


def output_format(path: Path, format: str | None = None) -> str:
    """The format to write at `path`: `format` itself, else the one its suffix names.

    Raises AudioError for an unknown name or suffix.
    """
    if format is not None:
        if format not in FORMATS:
            raise AudioError(f"unknown audio format {format!r}; legal: {', '.join(FORMATS)}")
        return format
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise AudioError(
            f"{path}: cannot tell the audio format from {suffix or 'a name without suffix'!r}; "
            f"use one of {', '.join(_SUFFIXES)}, or give the format: {', '.join(FORMATS)}"
        )
    return _SUFFIXES[suffix]


def check_output(path: Path, format: str | None = None) -> str:
    """The format that `write_audio` would use, after checking that `path` can be written (AudioError)."""
    name = output_format(path, format)
    try:
        check_writable(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    return name


def pcm16(waveform: Waveform) -> NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers; louder ones are clipped, not wrapped."""
    scaled: Waveform = np.clip(waveform, -1.0, 1.0) * np.float32(_PCM16_SCALE)
    return np.rint(scaled).astype(np.int16)


def encode_audio(
    waveform: Waveform,
    sample_rate: int,
    format: str = "wav",
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A whole audio file in memory.

    metadata: any of title, comment, software; written where the format has a place for it ("pcm" has none).
    Raises AudioError for a waveform that is not finite mono samples, or a rate the format cannot hold.
    """
    checked = _checked(waveform, sample_rate)
    tags = _checked_tags(metadata)
    name = output_format(Path(), format)
    if name == "pcm":
        return pcm16(checked).astype("<i2").tobytes()
    if name == "wav":
        return _wav(pcm16(checked).astype("<i2").tobytes(), sample_rate, _WAV_PCM, 16, tags)
    if name == "f32":
        return _wav(checked.astype("<f4").tobytes(), sample_rate, _WAV_FLOAT, 32, tags)
    return _with_soundfile(checked, sample_rate, name, tags)


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

    Raises AudioError when the file is missing, is no audio, or holds no sample.
    """
    import soundfile

    source = Path(path)
    if not source.is_file():
        raise AudioError(f"no audio file at {source}")
    try:
        samples, sample_rate = soundfile.read(source, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise AudioError(
            f"{source} cannot be read as audio ({error}); WAV, FLAC, MP3 and Ogg files can"
        ) from error
    if len(samples) == 0:
        raise AudioError(f"{source} holds no audio samples")
    if not np.isfinite(samples).all():
        raise AudioError(f"{source} holds samples that are not finite numbers")
    return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32)), int(sample_rate)


def resample(waveform: Waveform, from_rate: int, to_rate: int) -> Waveform:
    """Bring a waveform [L] from one sample rate to another: [ceil(L * to / from)].

    Windowed-sinc interpolation in polyphase form (J. O. Smith, "Digital Audio Resampling", CCRMA), Kaiser
    window, 32 zero crossings each side; content above 94 % of the lower Nyquist limit is removed.
    """
    _check_rate("from_rate", from_rate)
    _check_rate("to_rate", to_rate)
    samples = _checked(waveform, from_rate)
    divisor = math.gcd(from_rate, to_rate)
    up, down = to_rate // divisor, from_rate // divisor
    if up == down or len(samples) == 0:
        return samples.copy()
    n_out = -(-len(samples) * up // down)
    cutoff = min(1.0, up / down) * _ROLLOFF
    half = math.ceil(_ZERO_CROSSINGS / cutoff)
    last_input = (n_out - 1) * down // up
    padded = np.pad(samples, (half, max(0, last_input + half + 1 - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    out = np.empty(n_out, dtype=np.float32)
    # Output n reads the input around n * down / up; outputs `up` apart share a filter phase.
    for first in range(min(up, n_out)):
        position, phase = divmod(first * down, up)
        taps = _sinc_taps(phase / up, half, cutoff)
        count = len(range(first, n_out, up))
        rows = windows[position::down][:count]
        for begin in range(0, count, _ROWS_AT_ONCE):
            block = rows[begin : begin + _ROWS_AT_ONCE] @ taps
            stop = first + (begin + len(block) - 1) * up + 1
            out[first + begin * up : stop : up] = block
    return out


def _sinc_taps(fraction: float, half: int, cutoff: float) -> NDArray[np.float32]:
    offsets = np.arange(-half, half + 1) - fraction
    inside = np.clip(1.0 - (offsets / (half + 1)) ** 2, 0.0, None)
    window = np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    taps: NDArray[np.float64] = np.sinc(cutoff * offsets) * window
    # Every phase passes a constant unchanged; without this the phases differ by a whisper, which is a tone.
    normalised: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return normalised


def _check_rate(name: str, rate: object) -> None:
    if isinstance(rate, bool) or not isinstance(rate, int) or rate <= 0:
        raise AudioError(f"{name} must be a positive whole number of Hz, is {rate!r}")


def _checked(waveform: Waveform, sample_rate: int) -> Waveform:
    _check_rate("sample_rate", sample_rate)
    samples = np.asarray(waveform)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"a waveform is mono float samples of shape [L]; found {samples.dtype} of shape "
            f"{list(samples.shape)}"
        )
    if not np.isfinite(samples).all():
        raise AudioError("the waveform holds samples that are not finite numbers")
    return samples.astype(np.float32, copy=False)


def _checked_tags(metadata: Mapping[str, str] | None) -> dict[str, str]:
    tags = dict(metadata or {})
    for name in tags:
        if name not in _WAV_TAGS:
            raise AudioError(f"unknown metadata field {name!r}; legal: {', '.join(_WAV_TAGS)}")
    return {name: text.replace("\0", " ") for name, text in tags.items()}


def _wav(data: bytes, sample_rate: int, codec: int, bits: int, tags: Mapping[str, str]) -> bytes:
    if len(data) > _MAX_WAV_BYTES:
        raise AudioError("the audio is longer than a WAV file can hold (4 GiB); use flac")
    width = bits // 8
    header = struct.pack("<HHIIHH", codec, 1, sample_rate, sample_rate * width, width, bits)
    chunks = [_chunk(b"fmt ", header)]
    if codec == _WAV_FLOAT:
        chunks.append(_chunk(b"fact", struct.pack("<I", len(data) // width)))
    if tags:
        fields = (_chunk(_WAV_TAGS[name], text.encode() + b"\0") for name, text in tags.items())
        chunks.append(_chunk(b"LIST", b"INFO" + b"".join(fields)))
    chunks.append(_chunk(b"data", data))
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _with_soundfile(
    waveform: Waveform, sample_rate: int, format: str, tags: Mapping[str, str]
) -> bytes:
    import soundfile

    container, codec = _SOUNDFILE[format]
    samples = pcm16(waveform) if codec == "PCM_16" else np.clip(waveform, -1.0, 1.0)
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(
            buffer, "w", sample_rate, 1, subtype=codec, format=container
        ) as stream:
            for name, text in tags.items():
                setattr(stream, name, text)
            stream.write(samples)
    except (soundfile.SoundFileError, ValueError) as error:
        raise AudioError(
            f"cannot write {format} at {sample_rate} Hz: {error}; wav and flac take any rate"
        ) from error
    return buffer.getvalue()


def _unwritable(path: Path, error: OSError) -> AudioError:
    reason = str(error) if error.errno is None else os.strerror(error.errno)
    return AudioError(f"cannot write {path}: {reason}; choose another file or folder")
