from __future__ import annotations

import io
import os
import stat
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from openbark.audio import (
    FORMATS,
    check_output,
    encode_audio,
    output_format,
    pcm16,
    read_audio,
    resample,
    write_audio,
)
from openbark.errors import AudioError

RATE = 24_000


def tone(hertz: float, rate: int = RATE, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    times = np.arange(int(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def snr_db(reference: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10((reference**2).mean() / ((reference - found) ** 2).mean()))


def test_default_wav_is_strict_16_bit_pcm(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, tone(440), RATE)
    with wave.open(str(path)) as stream:
        assert (stream.getnchannels(), stream.getsampwidth(), stream.getframerate()) == (1, 2, RATE)
        frames = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
    assert np.array_equal(frames, pcm16(tone(440)))


def test_pcm16_clips_instead_of_wrapping() -> None:
    loud = np.array([-7.0, -1.0, 0.0, 1.0, 1.0001, 90.0], dtype=np.float32)
    assert pcm16(loud).tolist() == [-32767, -32767, 0, 32767, 32767, 32767]


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_lossless_formats_return_the_same_samples(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format}"
    write_audio(path, tone(440), RATE)
    found, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    assert np.array_equal(found, pcm16(tone(440)))


def test_float_wav_is_exact_even_beyond_full_scale() -> None:
    loud = tone(440, level=3.0)
    found, rate = soundfile.read(io.BytesIO(encode_audio(loud, RATE, "f32")), dtype="float32")
    assert rate == RATE
    assert np.array_equal(found, loud)


@pytest.mark.parametrize("format", ["mp3", "ogg"])
def test_lossy_formats_keep_rate_and_rough_shape(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format}"
    write_audio(path, tone(440, seconds=1.0), RATE)
    found, rate = read_audio(path)
    assert rate == RATE
    assert abs(len(found) - RATE) < 3000
    assert np.sqrt((found**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


def test_raw_pcm_has_no_header() -> None:
    assert encode_audio(tone(440), RATE, "pcm") == pcm16(tone(440)).astype("<i2").tobytes()


@pytest.mark.parametrize("format", ["wav", "f32", "flac", "mp3", "ogg"])
def test_metadata_comes_back(format: str) -> None:
    tags = {"title": "é hello", "comment": '{"seed": 12}'}
    data = encode_audio(tone(440), RATE, format, tags)
    with soundfile.SoundFile(io.BytesIO(data)) as stream:
        assert (stream.title, stream.comment) == ("é hello", '{"seed": 12}')


@pytest.mark.parametrize("comment", ["odd", "even"])
def test_wav_chunks_are_padded_to_even_bytes(comment: str) -> None:
    data = encode_audio(tone(440), RATE, "wav", {"comment": comment})
    with wave.open(io.BytesIO(data)) as stream:
        assert stream.getnframes() == len(tone(440))
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_unknown_metadata_field_is_refused() -> None:
    with pytest.raises(AudioError, match="colour"):
        encode_audio(tone(440), RATE, "wav", {"colour": "blue"})


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "ogg"])
def test_same_waveform_same_bytes(format: str) -> None:
    first, second = (encode_audio(tone(440), RATE, format, {"title": "x"}) for _ in range(2))
    assert first == second


def test_an_empty_waveform_is_a_valid_file() -> None:
    data = encode_audio(np.zeros(0, dtype=np.float32), RATE)
    with wave.open(io.BytesIO(data)) as stream:
        assert stream.getnframes() == 0


def test_stream_target_gets_a_wav() -> None:
    buffer = io.BytesIO()
    write_audio(buffer, tone(440), RATE)
    assert buffer.getvalue() == encode_audio(tone(440), RATE, "wav")


def test_closed_stream_is_a_typed_error() -> None:
    buffer = io.BytesIO()
    buffer.close()
    with pytest.raises(AudioError, match="stream"):
        write_audio(buffer, tone(440), RATE)


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("a.WAV", None, "wav"),
        ("a.opus", None, "ogg"),
        ("a.flac", None, "flac"),
        ("a.raw", None, "pcm"),
        ("a", "mp3", "mp3"),
        ("a.wav", "f32", "f32"),
    ],
)
def test_format_by_name_or_suffix(name: str, format: str | None, expected: str) -> None:
    assert output_format(Path(name), format) == expected


@pytest.mark.parametrize(("name", "format"), [("a.xyz", None), ("a", None), ("a.wav", "wma")])
def test_unknown_format_names_the_legal_ones(name: str, format: str | None) -> None:
    with pytest.raises(AudioError, match="flac"):
        output_format(Path(name), format)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "a.wav"
    for action in (
        lambda: write_audio(target, tone(440), RATE),
        lambda: check_output(target),
    ):
        with pytest.raises(AudioError, match="nowhere does not exist"):
            action()


def test_directory_as_target_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a.wav"
    folder.mkdir()
    with pytest.raises(AudioError, match="is a directory"):
        write_audio(folder, tone(440), RATE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(AudioError, match="cannot write"):
            check_output(tmp_path / "a.wav")
    finally:
        tmp_path.chmod(0o700)


def test_failed_write_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"mine")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AudioError, match="No space left"):
        write_audio(path, tone(440), RATE)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_audio(tmp_path / "a.wav", tone(440), RATE)
    assert list(tmp_path.iterdir()) == []


def test_new_file_has_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, tone(440), RATE)
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_link_is_followed_and_a_device_is_not_replaced(tmp_path: Path) -> None:
    real = tmp_path / "real.wav"
    link = tmp_path / "link.wav"
    real.touch()
    link.symlink_to(real)
    write_audio(link, tone(440), RATE)
    assert link.is_symlink()
    assert real.stat().st_size > 44
    pipe_end, other_end = os.pipe()
    write_audio(Path(f"/dev/fd/{other_end}"), tone(440, seconds=0.01), RATE, "wav")
    assert os.read(pipe_end, 4) == b"RIFF"
    os.close(pipe_end)
    os.close(other_end)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 10), dtype=np.float32),
        np.zeros(10, dtype=np.int16),
        np.array([0.0, np.nan], dtype=np.float32),
        np.array([0.0, np.inf], dtype=np.float32),
    ],
)
def test_bad_waveforms_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(AudioError):
        encode_audio(bad, RATE)


@pytest.mark.parametrize("rate", [0, -1, 24_000.0, True])
def test_bad_sample_rates_are_refused(rate: object) -> None:
    with pytest.raises(AudioError, match="sample_rate"):
        encode_audio(tone(440), rate)  # type: ignore[arg-type]


def test_rate_a_format_cannot_hold_is_a_typed_error() -> None:
    with pytest.raises(AudioError, match="22050"):
        encode_audio(tone(440), 22_050, "ogg")


def test_read_averages_channels(tmp_path: Path) -> None:
    stereo = np.stack([tone(440), -tone(440)], axis=1)
    soundfile.write(tmp_path / "s.wav", stereo, 16_000)
    found, rate = read_audio(tmp_path / "s.wav")
    assert rate == 16_000
    assert found.shape == (len(stereo),)
    assert np.abs(found).max() < 1e-3


def test_unreadable_audio_is_typed(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no audio file"):
        read_audio(tmp_path / "absent.wav")
    (tmp_path / "text.wav").write_text("this is not audio")
    with pytest.raises(AudioError, match="cannot be read"):
        read_audio(tmp_path / "text.wav")
    (tmp_path / "empty.wav").write_bytes(encode_audio(np.zeros(0, dtype=np.float32), RATE))
    with pytest.raises(AudioError, match="no audio samples"):
        read_audio(tmp_path / "empty.wav")


@pytest.mark.parametrize(
    ("source", "target"),
    [(24_000, 16_000), (16_000, 24_000), (44_100, 24_000), (24_000, 48_000), (22_050, 16_000)],
)
def test_resampled_tone_is_the_tone_at_the_other_rate(source: int, target: int) -> None:
    found = resample(tone(1000, source, 1.0), source, target)
    expected = tone(1000, target, 1.0)
    assert len(found) == len(expected)
    inner = slice(target // 20, -target // 20)
    assert snr_db(expected[inner], found[inner]) > 75


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    found = resample(tone(10_000, 24_000, 1.0), 24_000, 16_000)
    assert np.abs(found[800:-800]).max() < 1e-4


def test_resampling_there_and_back_returns_the_signal() -> None:
    original = tone(300, 16_000, 1.0) + tone(3100, 16_000, 1.0, level=0.2)
    back = resample(resample(original, 16_000, 44_100), 44_100, 16_000)
    inner = slice(800, -800)
    assert len(back) == len(original)
    assert snr_db(original[inner], back[inner]) > 75


def test_resampling_a_constant_has_no_ripple() -> None:
    found = resample(np.ones(4000, dtype=np.float32), 24_000, 44_100)
    assert np.abs(found[200:-200] - 1).max() < 1e-5


def test_resampling_to_the_same_rate_copies() -> None:
    original = tone(440)
    same = resample(original, RATE, RATE)
    assert np.array_equal(same, original)
    assert same is not original


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_resampling_very_short_signals_has_the_exact_length(length: int) -> None:
    found = resample(np.ones(length, dtype=np.float32), 24_000, 16_000)
    assert len(found) == -(-length * 2 // 3)


def test_resampling_refuses_bad_rates() -> None:
    with pytest.raises(AudioError, match="to_rate"):
        resample(tone(440), RATE, 0)
