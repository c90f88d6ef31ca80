"""AAC in an ADTS stream, encoded by PyAV (the extra [av]); knows neither files nor tags, which ADTS has none of.

PyAV's wheels bring FFmpeg with GPL parts, which is why no installation gets them unasked.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from openbark.audio.streamed_file import Patch, StreamedFile
from openbark.errors import AudioError
from openbark.types import Waveform

_BIT_RATE = 64_000


def has_aac() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


class AacWriter:
    """One ADTS stream in the making. Every frame of 1,024 samples stands alone, so nothing is patched later."""

    def __init__(self, sample_rate: int) -> None:
        """Raises AudioError without PyAV, and for a rate that AAC does not have (8 to 96 kHz, thirteen of them)."""
        if not has_aac():
            raise AudioError(
                'aac needs PyAV: pip install "openbark[av]"; mp3, ogg and flac are written without it'
            )
        import av

        self._av = av
        self._sink = StreamedFile()
        self._rate = sample_rate
        self._n_samples = 0
        self._fifo = av.AudioFifo()
        self._container = av.open(self._sink, mode="w", format="adts")
        try:
            self._stream = self._container.add_stream("aac", rate=sample_rate, layout="mono")
            self._stream.bit_rate = _BIT_RATE
            self._stream.codec_context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise AudioError(
                f"cannot write aac at {sample_rate} Hz: {error}; wav and flac take any rate"
            ) from error
        self._frame_size = self._stream.codec_context.frame_size

    def write(self, waveform: Waveform) -> bytes:
        """The frames that samples [L] complete."""
        if len(waveform) == 0:
            return b""
        samples = np.clip(waveform, -1.0, 1.0).astype(np.float32)[None]
        frame = self._av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._n_samples
        self._n_samples += len(waveform)
        self._fifo.write(frame)
        for whole in self._fifo.read_many(self._frame_size):
            self._container.mux(self._stream.encode(whole))
        return self._sink.take()

    def finish(self) -> bytes:
        """The last frames. Raises AudioError when no sample was written."""
        if self._n_samples == 0:
            raise AudioError("a file of aac holds at least one sample; none was written")
        rest = self._fifo.read()
        if rest is not None:
            self._container.mux(self._stream.encode(rest))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()

    def patches(self) -> list[Patch]:
        """None: ADTS has no header."""
        return []
