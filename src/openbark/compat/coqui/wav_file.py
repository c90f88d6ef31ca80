"""Audio files as Coqui writes them: 16 bits, the loudest sample at full scale (docs/parity.md C33). Knows no model."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from openbark.audio import write_audio
from openbark.errors import AudioError
from openbark.files import write_atomically

_LEAST_PEAK = 0.01
_LARGEST = 32_767


def save_normalized(
    target: Path,
    samples: Sequence[float] | NDArray[np.floating],
    sample_rate: int,
    pipe_out: TextIO | None = None,
) -> None:
    """Write samples [L] to `target`, whole or not at all, and as WAV to the bytes of `pipe_out`.

    A suffix other than `.wav` gives that format. Raises AudioError when the file cannot be written.
    """
    data = normalized_wav(samples, sample_rate)
    if target.suffix.lower() == ".wav":
        try:
            write_atomically(target, data)
        except OSError as error:
            reason = error.strerror or str(error)
            raise AudioError(f"cannot write {target}: {reason}; choose another file") from error
    else:
        waveform = np.asarray(samples, dtype=np.float32)
        write_audio(target, waveform / _peak(waveform), sample_rate)
    if pipe_out is not None:
        pipe_out.buffer.write(data)
        pipe_out.buffer.flush()


def normalized_wav(samples: Sequence[float] | NDArray[np.floating], sample_rate: int) -> bytes:
    """A mono 16-bit WAV file of samples [L]; near silence is amplified a hundredfold at most."""
    waveform = np.asarray(samples, dtype=np.float64)
    codes = (waveform * (_LARGEST / _peak(waveform))).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(codes.itemsize)
        file.setframerate(sample_rate)
        file.writeframes(codes.tobytes())
    return buffer.getvalue()


def _peak(waveform: NDArray[np.floating]) -> float:
    return max(_LEAST_PEAK, float(np.abs(waveform).max(initial=0.0)))
