"""Waveforms to the bytes of a file, block by block: for streams, and whole.

An encoder belongs to one stream and to one thread at a time; it may take a while, so a server runs it off
its event loop. WAV and raw samples are written here, AAC by PyAV, the others by soundfile (libsndfile).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np

from openbark.audio.aac import AacWriter
from openbark.audio.formats import check_format
from openbark.audio.samples import check_rate, check_waveform, count_clipped, pcm16
from openbark.audio.streamed_file import Patch, StreamedFile
from openbark.audio.tags import check_tags, id3_tag, riff_chunk, wav_info
from openbark.errors import AudioError
from openbark.types import Waveform

_SOUNDFILE = MappingProxyType(
    {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "OPUS")}
)
_WAV_PCM, _WAV_FLOAT = 1, 3
_MAX_WAV_BYTES = 2**32 - 2**16
_UNKNOWN_SIZE = 0xFFFFFFFF

_SET_PAGE_LATENCY = 0x1302
"""SFC_SET_OGG_PAGE_LATENCY_MS of libsndfile's header; soundfile has no name for it."""
_PAGE_MS = 100.0
_STREAM_MP3 = MappingProxyType({"bitrate_mode": "CONSTANT", "compression_level": 0.6})
"""64 kbit/s at 24 kHz: a stream's length is unknown, and players guess it from a bitrate that must not vary."""

MAX_OGG_TAG_BYTES = 50_000
"""libsndfile 1.2 writes an unreadable file for longer ones."""


class _Writer(Protocol):
    """Turns checked samples into bytes of one format."""

    def write(self, waveform: Waveform) -> bytes: ...

    def finish(self) -> bytes: ...

    def patches(self) -> list[Patch]: ...


class AudioEncoder:
    """One audio file in the making: `write` blocks, then `finish`; the bytes of all calls are the file."""

    def __init__(self, writer: _Writer, sample_rate: int, n_samples: int | None) -> None:
        """See `open_encoder`."""
        self._writer = writer
        self._sample_rate = sample_rate
        self._promised = n_samples
        self._finished = False
        self.n_samples = 0
        self.n_clipped = 0

    def write(self, waveform: Waveform) -> bytes:
        """Add samples [L], any number of them; the bytes that are ready, often none.

        `n_samples` counts what came in, `n_clipped` what lay beyond full scale. Raises AudioError for samples
        that are no waveform, and after `finish`.
        """
        if self._finished:
            raise AudioError("the audio is finished; open another encoder for more")
        samples = check_waveform(waveform, self._sample_rate)
        self.n_samples += len(samples)
        self.n_clipped += count_clipped(samples)
        return self._writer.write(samples)

    def finish(self) -> bytes:
        """The last bytes. Raises AudioError when the file was opened for another number of samples."""
        if self._finished:
            return b""
        if self._promised is not None and self.n_samples != self._promised:
            raise AudioError(f"{self._promised} samples were announced, {self.n_samples} written")
        self._finished = True
        return self._writer.finish()

    def patches(self) -> list[Patch]:
        """After `finish`: what to overwrite in a file that can seek, so that its header knows its length.

        A stream is a valid file without. Raises AudioError where the sizes do not fit the format.
        """
        return self._writer.patches()


def open_encoder(
    format: str,
    sample_rate: int,
    metadata: Mapping[str, str] | None = None,
    n_samples: int | None = None,
) -> AudioEncoder:
    """An encoder of a key of FORMATS.

    metadata: any of title, comment, software; at the head of the file where the format has a place for it
    ("pcm" and "aac" have none). n_samples: how many will come, which gives a WAV its true sizes at once; None leaves
    them open (0xFFFFFFFF, as players expect of a stream) until `patches`.
    Raises AudioError for an unknown format or field, "aac" without PyAV, a rate that the format cannot hold, or tags over
    MAX_OGG_TAG_BYTES in "ogg".
    """
    name = check_format(format)
    tags = check_tags(metadata)
    check_rate("sample_rate", sample_rate)
    writer: _Writer
    if name in _SOUNDFILE:
        writer = _SoundfileWriter(name, sample_rate, tags, streaming=n_samples is None)
    elif name == "aac":
        writer = AacWriter(sample_rate)
    elif name == "pcm":
        writer = _PcmWriter()
    else:
        writer = _WavWriter(sample_rate, name == "f32", tags, n_samples)
    return AudioEncoder(writer, sample_rate, n_samples)


def encode_audio(
    waveform: Waveform,
    sample_rate: int,
    format: str = "wav",
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A whole audio file of samples [L] in memory; the arguments are those of `open_encoder`.

    Raises AudioError for a waveform that is not finite mono samples, or a rate the format cannot hold.
    """
    checked = check_waveform(waveform, sample_rate)
    return encode_blocks(open_encoder(format, sample_rate, metadata, len(checked)), [checked])


def encode_blocks(encoder: AudioEncoder, blocks: Iterable[Waveform]) -> bytes:
    """The whole file of an encoder that has written nothing yet, in memory."""
    data = bytearray().join([*(encoder.write(block) for block in blocks), encoder.finish()])
    for offset, patch in encoder.patches():
        data[offset : offset + len(patch)] = patch
    return bytes(data)


class _PcmWriter:
    def write(self, waveform: Waveform) -> bytes:
        return pcm16(waveform).astype("<i2").tobytes()

    def finish(self) -> bytes:
        return b""

    def patches(self) -> list[Patch]:
        return []


class _WavWriter:
    """RIFF/WAVE: header, tags, samples; nothing after the samples, which a player would take for sound."""

    def __init__(
        self, sample_rate: int, is_float: bool, tags: Mapping[str, str], n_samples: int | None
    ) -> None:
        self._is_float = is_float
        self._width = 4 if is_float else 2
        self._rate = sample_rate
        self._info = wav_info(tags)
        self._open_ended = n_samples is None
        self._written = 0
        self._head = self._header(n_samples)

    def write(self, waveform: Waveform) -> bytes:
        if self._is_float:
            data = waveform.astype("<f4").tobytes()
        else:
            data = pcm16(waveform).astype("<i2").tobytes()
        self._written += len(waveform)
        head, self._head = self._head, b""
        return head + data

    def finish(self) -> bytes:
        head, self._head = self._head, b""
        return head

    def patches(self) -> list[Patch]:
        return [(0, self._header(self._written))] if self._open_ended else []

    def _header(self, n_samples: int | None) -> bytes:
        size = None if n_samples is None else n_samples * self._width
        if size is not None and size + len(self._info) > _MAX_WAV_BYTES:
            raise AudioError("the audio is longer than a WAV file can hold (4 GiB); use flac")
        codec = _WAV_FLOAT if self._is_float else _WAV_PCM
        layout = struct.pack(
            "<HHIIHH", codec, 1, self._rate, self._rate * self._width, self._width, 8 * self._width
        )
        head = b"WAVE" + riff_chunk(b"fmt ", layout)
        if self._is_float:
            n_facts = _UNKNOWN_SIZE if n_samples is None else n_samples
            head += riff_chunk(b"fact", struct.pack("<I", n_facts))
        head += self._info
        data_size = _UNKNOWN_SIZE if size is None else size
        file_size = _UNKNOWN_SIZE if size is None else len(head) + 8 + size
        start = b"RIFF" + struct.pack("<I", file_size)
        return start + head + b"data" + struct.pack("<I", data_size)


class _SoundfileWriter:
    def __init__(
        self, format: str, sample_rate: int, tags: Mapping[str, str], streaming: bool
    ) -> None:
        import soundfile

        container, codec = _SOUNDFILE[format]
        self._format = format
        self._is_pcm = codec == "PCM_16"
        # libsndfile's own ID3 tag cannot say that it holds UTF-8.
        self._head = id3_tag(tags) if format == "mp3" else b""
        self._n_head = len(self._head)
        self._sink = StreamedFile()
        rate = _STREAM_MP3 if format == "mp3" and streaming else {}
        if (
            format == "ogg"
            and sum(len(text.encode()) for text in tags.values()) > MAX_OGG_TAG_BYTES
        ):
            raise AudioError(
                f"tags of an ogg file hold {MAX_OGG_TAG_BYTES} bytes at most; shorten them, or use flac"
            )
        try:
            self._stream = soundfile.SoundFile(
                self._sink, "w", sample_rate, 1, subtype=codec, format=container, **rate
            )
        except (soundfile.SoundFileError, ValueError) as error:
            raise AudioError(
                f"cannot write {format} at {sample_rate} Hz: {error}; wav and flac take any rate"
            ) from error
        if format != "mp3":
            for name, text in tags.items():
                setattr(self._stream, name, text)
        if format == "ogg" and streaming:
            _shorten_pages(self._stream)

    def write(self, waveform: Waveform) -> bytes:
        samples = pcm16(waveform) if self._is_pcm else np.clip(waveform, -1.0, 1.0)
        self._stream.write(samples)
        return self._taken()

    def finish(self) -> bytes:
        self._stream.close()
        if self._sink.tell() == 0:
            raise AudioError(
                f"a file of {self._format} holds at least one sample; none was written"
            )
        return self._taken()

    def patches(self) -> list[Patch]:
        return [(self._n_head + offset, data) for offset, data in self._sink.patches]

    def _taken(self) -> bytes:
        head, self._head = self._head, b""
        return head + self._sink.take()


def _shorten_pages(stream: object) -> None:
    """Ogg pages of 0.1 s instead of a second: what is written comes out soon.

    soundfile does not pass libsndfile's commands on, so this reaches below it; where it is built otherwise
    the stream is as valid, and later.
    """
    try:
        import soundfile

        latency = soundfile._ffi.new("double *", _PAGE_MS)
        size = soundfile._ffi.sizeof("double")
        soundfile._snd.sf_command(stream._file, _SET_PAGE_LATENCY, latency, size)  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        return
