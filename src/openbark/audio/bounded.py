"""Recordings of unknown origin: read from start to end, within bounds, whatever their header says."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbark.errors import AudioError

_BLOCK = 1 << 14
_BYTES_PER_SAMPLE = 4


@dataclass(frozen=True)
class AudioBounds:
    """seconds: of a recording; bytes: of its samples as float32; channels: 1 to this many; rates: in Hz."""

    seconds: float = 120.0
    bytes: int = 64 << 20
    channels: int = 8
    rates: tuple[int, int] = (8_000, 192_000)


@dataclass(frozen=True)
class RecordingFacts:
    """What was found by decoding all of it."""

    seconds: float
    sample_rate: int
    channels: int


def open_from_start(source: Path | io.BytesIO) -> Any:
    """A `soundfile.SoundFile` that never seeks: the header of a FLAC that was streamed does not know the length,
    and soundfile would seek by it."""
    import soundfile

    class Sequential(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

    return Sequential(source)


def inspect_recording(data: bytes, bounds: AudioBounds) -> RecordingFacts:
    """Decode a file block by block, keep nothing of it, and stop at the first bound.

    Raises AudioError for what is not audio, is too long, or has too many channels or an odd rate.
    """
    import soundfile

    try:
        with open_from_start(io.BytesIO(data)) as stream:
            n_channels, rate = int(stream.channels), int(stream.samplerate)
            low, high = bounds.rates
            if not 1 <= n_channels <= bounds.channels or not low <= rate <= high:
                raise AudioError(
                    f"the recording has {n_channels} channels at {rate} Hz; allowed: 1 to "
                    f"{bounds.channels} channels at {low} to {high} Hz"
                )
            n_frames = 0
            while n_new := len(stream.read(_BLOCK, dtype="float32", always_2d=True)):
                n_frames += n_new
                n_bytes = n_frames * n_channels * _BYTES_PER_SAMPLE
                if n_frames > bounds.seconds * rate or n_bytes > bounds.bytes:
                    raise AudioError(
                        f"the recording is longer than {bounds.seconds:g} s or {bounds.bytes} bytes of "
                        "samples; send a shorter one"
                    )
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        # The library's own text names the object that was read, which says nothing to a caller.
        reason = getattr(error, "error_string", type(error).__name__)
        raise AudioError(
            f"the recording cannot be read as audio ({reason}); WAV, FLAC, MP3 and Ogg files can"
        ) from error
    if n_frames == 0:
        raise AudioError("the recording holds no audio samples")
    return RecordingFacts(n_frames / rate, rate, n_channels)
