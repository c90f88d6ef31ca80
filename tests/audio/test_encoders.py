"""Encoders of streams: the same samples as whole files, headers that strict readers accept."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from openbark.audio import FORMATS, encode_audio, open_encoder, pcm16, read_audio, read_tags
from openbark.errors import AudioError

RATE = 24_000
LOSSLESS = ("wav", "f32", "flac")
TAGS = {"title": "日本 é", "comment": '{"text": "' + "é, " * 3000 + '"}', "software": "openbark"}


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades: nothing compresses it away."""
    length = int(seconds * RATE)
    noise = np.random.default_rng(seed).standard_normal(length)
    envelope = 0.1 + 0.1 * np.sin(np.arange(length) / 3000)
    return (noise * envelope).astype(np.float32)


def streamed(format: str, waveform: np.ndarray, sizes: list[int], tags: dict | None = None):
    """The bytes of a stream written in blocks of `sizes` (the last one repeats), and its patches."""
    encoder = open_encoder(format, RATE, tags)
    data, position = b"", 0
    while position < len(waveform):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        data += encoder.write(waveform[position : position + size])
        position += size
    return data + encoder.finish(), encoder


def patched(data: bytes, encoder) -> bytes:
    whole = bytearray(data)
    for offset, patch in encoder.patches():
        whole[offset : offset + len(patch)] = patch
    return bytes(whole)


def decoded(data: bytes, dtype: str = "int16") -> np.ndarray:
    """All samples, whatever length the header gives: that of a streamed FLAC knows none."""

    class Sequential(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    with Sequential(io.BytesIO(data)) as stream:
        return stream.read(10**6, dtype=dtype)


@pytest.mark.parametrize("format", LOSSLESS)
@pytest.mark.parametrize("sizes", [[2400], [1, 7, 5000, 333], [10**6]])
def test_lossless_streams_decode_to_the_samples_of_the_whole_file(
    format: str, sizes: list[int]
) -> None:
    waveform = speech(1.3)
    data, encoder = streamed(format, waveform, list(sizes), TAGS)
    dtype = "float32" if format == "f32" else "int16"
    expected = waveform if format == "f32" else pcm16(waveform)
    for form in (data, patched(data, encoder), encode_audio(waveform, RATE, format, TAGS)):
        assert np.array_equal(decoded(form, dtype), expected)


@pytest.mark.parametrize("format", LOSSLESS)
def test_a_patched_stream_is_the_whole_file(format: str) -> None:
    waveform = speech(0.7)
    data, encoder = streamed(format, waveform, [1000], TAGS)
    assert patched(data, encoder) == encode_audio(waveform, RATE, format, TAGS)


def test_a_stream_of_wav_passes_a_strict_reader() -> None:
    waveform = speech(0.5)
    data, encoder = streamed("wav", waveform, [777], TAGS)
    with wave.open(io.BytesIO(data)) as stream:
        assert (stream.getnchannels(), stream.getsampwidth(), stream.getframerate()) == (1, 2, RATE)
        frames = stream.readframes(stream.getnframes())
    assert frames == pcm16(waveform).astype("<i2").tobytes()
    assert data.count(b"RIFF") == 1
    assert data.endswith(frames)
    with wave.open(io.BytesIO(patched(data, encoder))) as stream:
        assert stream.getnframes() == len(waveform)
        assert stream.readframes(stream.getnframes()) == frames


def test_a_wav_of_known_length_has_its_sizes_at_once() -> None:
    waveform = speech(0.2)
    encoder = open_encoder("wav", RATE, n_samples=len(waveform))
    data = encoder.write(waveform[:100]) + encoder.write(waveform[100:]) + encoder.finish()
    assert encoder.patches() == []
    assert data == encode_audio(waveform, RATE, "wav")
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_a_flac_knows_its_length_and_checksum_only_when_patched() -> None:
    waveform = speech(0.5)
    data, encoder = streamed("flac", waveform, [4800])
    assert data[26:42] == bytes(16)
    whole = patched(data, encoder)
    assert whole[26:42] != bytes(16)
    assert int.from_bytes(whole[21:26], "big") & (2**36 - 1) == len(waveform)


@pytest.mark.parametrize("format", ["mp3", "ogg"])
def test_lossy_streams_decode_to_the_whole_sound_once(format: str) -> None:
    times = np.arange(2 * RATE) / RATE
    waveform = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    data, encoder = streamed(format, waveform, [2400])
    found = decoded(data, "float32")
    # MP3 has no place for its padding in a stream: a frame or two of silence at the ends.
    slack = 0 if format == "ogg" else 2 * 1152
    assert 0 <= len(found) - len(waveform) <= slack
    assert np.abs(found[RATE:]).max() > 0.45
    whole = decoded(patched(data, encoder), "float32")
    assert len(whole) == len(waveform)
    level = np.sqrt((whole**2).mean())
    assert level == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(("format", "limit"), [("pcm", 1), ("wav", 1), ("flac", 3), ("mp3", 3)])
def test_first_bytes_come_with_the_first_tenths_of_a_second(format: str, limit: int) -> None:
    encoder = open_encoder(format, RATE)
    blocks = [encoder.write(speech(0.1, seed)) for seed in range(6)]
    assert sum(len(block) for block in blocks[:limit]) > 300
    assert all(len(block) > 0 for block in blocks[-1:]) or format == "flac"


def test_ogg_pages_of_a_stream_are_a_tenth_of_a_second() -> None:
    encoder = open_encoder("ogg", RATE)
    sizes = [len(encoder.write(speech(0.1, seed))) for seed in range(10)]
    assert sum(size > 0 for size in sizes) >= 9
    waveform = speech(1.0)
    assert len(encode_audio(waveform, RATE, "ogg")) < len(streamed("ogg", waveform, [2400])[0])


def test_without_the_private_call_ogg_is_late_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(soundfile, "_snd")
    from openbark.audio.encoders import _shorten_pages

    with pytest.raises(AttributeError):
        soundfile._snd  # noqa: B018
    _shorten_pages(object())


@pytest.mark.parametrize("format", FORMATS)
def test_clipped_samples_are_counted_and_do_not_wrap(format: str) -> None:
    loud = np.array([0.5, 1.5, -9.0, 1.0, -1.0] * 500, dtype=np.float32)
    encoder = open_encoder(format, RATE)
    data = encoder.write(loud) + encoder.write(loud) + encoder.finish()
    assert (encoder.n_clipped, encoder.n_samples) == (2000, 5000)
    if format in ("wav", "flac"):
        assert decoded(data)[:5].tolist() == [16384, 32767, -32767, 32767, -32767]


@pytest.mark.parametrize("format", ["flac", "mp3"])
def test_formats_without_an_empty_file_say_so(format: str) -> None:
    with pytest.raises(AudioError, match=f"{format} holds at least one sample"):
        open_encoder(format, RATE).finish()


@pytest.mark.parametrize("format", ["wav", "f32", "pcm", "ogg"])
def test_an_empty_stream_is_a_valid_file(format: str) -> None:
    encoder = open_encoder(format, RATE, TAGS)
    data = encoder.write(np.zeros(0, dtype=np.float32)) + encoder.finish()
    assert encoder.finish() == b""
    if format in LOSSLESS:
        assert len(decoded(data)) == 0
    with pytest.raises(AudioError, match="finished"):
        encoder.write(np.zeros(1, dtype=np.float32))


@pytest.mark.parametrize("format", ["wav", "f32", "flac", "mp3", "ogg"])
def test_long_tags_of_any_script_come_back(format: str, tmp_path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(encode_audio(speech(0.2), RATE, format, TAGS))
    found = read_tags(path)
    assert (found["title"], found["comment"]) == (TAGS["title"], TAGS["comment"])
    assert found["software"].startswith("openbark")


def test_a_book_fits_into_the_tags(tmp_path) -> None:
    comment = "Call me Ishmael. " * 62_000
    for format in ("wav", "flac", "mp3"):
        path = tmp_path / f"a.{format}"
        path.write_bytes(encode_audio(speech(0.2), RATE, format, {"comment": comment}))
        assert read_tags(path)["comment"] == comment
        assert len(soundfile.read(path)[0]) > 0
    with pytest.raises(AudioError, match="50000 bytes"):
        encode_audio(speech(0.2), RATE, "ogg", {"comment": comment})


def test_a_streamed_flac_on_disk_can_be_read(tmp_path) -> None:
    data, _ = streamed("flac", speech(3.0), [4800])
    (tmp_path / "a.flac").write_bytes(data)
    found, rate = read_audio(tmp_path / "a.flac")
    assert rate == RATE
    assert np.array_equal(pcm16(found * np.float32(32768 / 32767)), pcm16(speech(3.0)))


def test_files_without_tags_and_without_sound(tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(encode_audio(speech(0.1), RATE))
    assert read_tags(tmp_path / "a.wav") == {}
    (tmp_path / "a.txt").write_text("no sound")
    for name in ("a.txt", "absent.wav"):
        with pytest.raises(AudioError, match=name):
            read_tags(tmp_path / name)


def test_a_broken_promise_and_a_wrong_block_are_typed_errors() -> None:
    encoder = open_encoder("wav", RATE, n_samples=10)
    encoder.write(speech(0.001))
    with pytest.raises(AudioError, match="10 samples were announced, 24 written"):
        encoder.finish()
    with pytest.raises(AudioError, match="wma"):
        open_encoder("wma", RATE)
    with pytest.raises(AudioError, match="finite"):
        open_encoder("wav", RATE).write(np.array([np.nan], dtype=np.float32))


def test_opus_is_another_name_of_ogg() -> None:
    assert soundfile.info(io.BytesIO(encode_audio(speech(0.2), RATE, "opus"))).subtype == "OPUS"


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=12), st.sampled_from(LOSSLESS))
def test_no_split_changes_a_lossless_stream(sizes: list[int], format: str) -> None:
    waveform = speech(0.3)
    data, encoder = streamed(format, waveform, sizes)
    assert patched(data, encoder) == encode_audio(waveform, RATE, format)
