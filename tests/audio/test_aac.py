"""AAC: what another decoder hears in a stream and in a whole file, and what is said where it cannot be written."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from openbark.audio import aac, encode_audio, open_encoder
from openbark.errors import AudioError

RATE = 24_000
FRAME = 1024


def tone(seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)).astype(
        np.float32
    )


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


@pytest.mark.parametrize("sizes", [[1], [700, 1, 5000], [48_000]])
def test_a_stream_is_the_whole_file_however_it_is_cut(sizes: list[int]) -> None:
    waveform = tone(0.5 if sizes == [1] else 2.0)
    encoder, data, at = open_encoder("aac", RATE), b"", 0
    while at < len(waveform):
        size = sizes[at % len(sizes)]
        data += encoder.write(waveform[at : at + size])
        at += size
    data += encoder.finish()
    assert data == encode_audio(waveform, RATE, "aac")


def test_another_decoder_hears_the_tone() -> None:
    waveform = tone(2.0)
    found = decoded(encode_audio(waveform, RATE, "aac"))
    assert len(waveform) <= len(found) < len(waveform) + 3 * FRAME
    spectrum = np.abs(np.fft.rfft(found[4096 : 4096 + RATE]))
    assert int(spectrum.argmax()) == 440
    assert np.abs(found).max() == pytest.approx(0.5, abs=0.05)


def test_frames_come_while_sound_comes_in() -> None:
    encoder = open_encoder("aac", RATE)
    assert sum(len(encoder.write(tone(0.25))) for _ in range(4)) > 2000


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aac, "has_aac", lambda: False)
    with pytest.raises(AudioError, match=r"openbark\[av\]"):
        open_encoder("aac", RATE)


@pytest.mark.parametrize("rate", [23_999, 200])
def test_rates_that_aac_does_not_have_are_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=f"aac at {rate} Hz"):
        open_encoder("aac", rate)


def test_nothing_written_is_an_error() -> None:
    with pytest.raises(AudioError, match="at least one sample"):
        open_encoder("aac", RATE).finish()
