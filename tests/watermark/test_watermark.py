"""The watermark on signals made here: found, read, never invented, the same in a stream."""

from __future__ import annotations

import numpy as np
import pytest

from openbark.audio import resample
from openbark.errors import AudioError, ParamError
from openbark.watermark import (
    KEY_VARIABLE,
    Marker,
    Payload,
    detect_watermark,
    embed_watermark,
    watermark_key,
)
from openbark.watermark.pattern import N_BANDS, N_SLOTS, pattern_of
from openbark.watermark.payload import decode_payload

RATE = 24_000
PAYLOAD = Payload(model=0xABC, seed=0x1234)


def speech(seed: int, seconds: float = 6.0, rate: int = RATE) -> np.ndarray:
    """Coloured noise whose level rises and falls as syllables do."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= 1.0 + np.fft.rfftfreq(n, 1 / rate) / 500.0
    samples = np.fft.irfft(spectrum, n)
    knots = rng.uniform(0.05, 1.0, int(seconds * 5) + 2)
    samples *= np.interp(np.arange(n) / rate * 5, np.arange(len(knots)), knots)
    return (samples / np.abs(samples).max() * 0.7).astype(np.float32)


def test_a_mark_is_found_and_read() -> None:
    for seed in range(4):
        found = detect_watermark(embed_watermark(speech(seed), RATE, PAYLOAD), RATE)
        assert found.state == "present"
        assert found.score >= 10.0
        assert found.payload == PAYLOAD


def test_unmarked_sound_and_another_key_are_absent() -> None:
    for seed in range(40):
        sound = speech(100 + seed, 4.0)
        assert detect_watermark(sound, RATE).state == "absent"
        marked = embed_watermark(sound, RATE, PAYLOAD, key="mine")
        found = detect_watermark(marked, RATE)
        assert found.state == "absent"
        assert found.payload is None
    assert detect_watermark(marked, RATE, key="mine").state == "present"


def test_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "ours")
    marked = embed_watermark(speech(1), RATE, PAYLOAD)
    assert detect_watermark(marked, RATE).state == "present"
    monkeypatch.delenv(KEY_VARIABLE)
    assert detect_watermark(marked, RATE).state == "absent"
    monkeypatch.setenv(KEY_VARIABLE, "")
    with pytest.raises(ParamError, match="unset it"):
        watermark_key()


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("n_samples", [0, 1, 127, 384, 513, 20_011])
def test_a_stream_is_the_whole_bit_for_bit(rate: int, n_samples: int) -> None:
    rng = np.random.default_rng(n_samples + rate)
    sound = speech(2, 2.0 + 20_011 / rate, rate)[:n_samples]
    whole = embed_watermark(sound, rate, PAYLOAD)
    marker, parts, at = Marker(rate, PAYLOAD), [], 0
    while at < len(sound):
        step = int(rng.integers(0, 3000))
        parts.append(marker.push(sound[at : at + step]))
        at += step
    parts.append(marker.finish())
    assert whole.dtype == np.float32
    assert np.array_equal(np.concatenate(parts), whole)
    assert len(whole) == n_samples


def test_a_stream_holds_little_back() -> None:
    marker = Marker(RATE)
    sound = speech(3)
    assert len(sound) - len(marker.push(sound)) <= 512


def test_the_level_stays_and_silence_stays_silence() -> None:
    sound = speech(4)
    marked = embed_watermark(sound, RATE)
    change = 20 * np.log10(np.sqrt(np.mean(marked**2) / np.mean(sound**2)))
    assert abs(change) < 0.1
    assert not embed_watermark(np.zeros(5000, np.float32), RATE).any()


def test_the_mark_does_not_drive_samples_beyond_full_scale() -> None:
    sound = speech(5)
    loud = sound / np.abs(sound).max()
    assert np.abs(embed_watermark(loud, RATE, depth=6.0)).max() <= 1.0


def test_no_mark_outside_its_bands() -> None:
    tone = np.sin(2 * np.pi * 9000 * np.arange(RATE) / RATE).astype(np.float32) * np.float32(0.5)
    assert np.abs(embed_watermark(tone, RATE) - tone)[600:-600].max() < 1e-4


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x * np.float32(0.25),
        lambda x: np.clip(x, -0.3, 0.3),
        lambda x: x[7_001:],
        lambda x: resample(resample(x, RATE, 16_000), 16_000, RATE),
    ],
    ids=["quieter", "clipped", "cut", "resampled"],
)
def test_a_mark_survives(change: object) -> None:
    for seed in range(3):
        marked = embed_watermark(speech(seed), RATE, PAYLOAD)
        found = detect_watermark(change(marked), RATE)  # type: ignore[operator]
        assert found.state == "present"
        assert found.payload == PAYLOAD


@pytest.mark.parametrize("percent", [-2, -1, 1, 2])
def test_another_speed_is_found_when_it_is_searched(percent: int) -> None:
    marked = embed_watermark(speech(6, 8.0), RATE, PAYLOAD)
    n = round(len(marked) / (1 + percent / 100))
    faster = np.interp(np.linspace(0, len(marked) - 1, n), np.arange(len(marked)), marked)
    found = detect_watermark(faster.astype(np.float32), RATE, speeds=True)
    assert found.state == "present"
    assert found.speed == pytest.approx(1 + percent / 100, abs=0.006)


def test_a_marked_stretch_of_a_long_recording_is_found() -> None:
    sound = np.concatenate([speech(seed, 10.0) for seed in range(8)])
    start = 65 * RATE
    sound[start : start + 8 * RATE] = embed_watermark(speech(9, 8.0), RATE, PAYLOAD)
    found = detect_watermark(sound, RATE)
    assert found.state == "present"
    assert 62.0 < found.start < 70.0
    assert found.payload == PAYLOAD


def test_channels_and_other_rates() -> None:
    marked = embed_watermark(speech(7), RATE, PAYLOAD)
    both = np.stack([marked, marked], axis=1)
    assert detect_watermark(both, RATE).payload == PAYLOAD
    at_48 = embed_watermark(speech(7, rate=48_000), 48_000, PAYLOAD)
    assert detect_watermark(at_48, 48_000).payload == PAYLOAD


@pytest.mark.parametrize("n_samples", [0, 1, 240, 2 * RATE - 1])
def test_too_short(n_samples: int) -> None:
    assert detect_watermark(np.zeros(n_samples, np.float32), RATE).state == "too short"


def test_silence_is_absent_and_odd_input_is_refused() -> None:
    assert detect_watermark(np.zeros(5 * RATE, np.float32), RATE).state == "absent"
    broken = speech(8)
    broken[1000] = np.nan
    with pytest.raises(AudioError, match="finite"):
        detect_watermark(broken, RATE)
    with pytest.raises(AudioError, match="allowed"):
        detect_watermark(np.zeros(100_000, np.int16), RATE)  # type: ignore[arg-type]
    with pytest.raises(AudioError):
        embed_watermark(broken, RATE)


def test_the_payload_corrects_wrong_bits_and_refuses_a_wrong_checksum() -> None:
    soft = 1.0 - 2.0 * PAYLOAD.coded()
    assert decode_payload(soft) == PAYLOAD
    soft[[3, 30, 60, 85]] *= -1
    assert decode_payload(soft) == PAYLOAD
    rng = np.random.default_rng(0)
    wrong = sum(decode_payload(rng.standard_normal(92)) is not None for _ in range(300))
    assert wrong <= 3  # a checksum and a version of 12 bits together


@pytest.mark.parametrize(
    "values", [{"model": -1}, {"model": 4096}, {"seed": 65536}, {"version": 16}]
)
def test_a_payload_outside_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ParamError, match="allowed"):
        Payload(**values)


@pytest.mark.parametrize("depth", [0.0, -1.0, 7.0, float("nan")])
def test_a_depth_outside_is_refused(depth: float) -> None:
    with pytest.raises(ParamError, match="allowed"):
        Marker(RATE, depth=depth)


def test_the_pattern_never_changes() -> None:
    pattern = pattern_of("openbark-1")
    assert pattern.signs.shape == (N_SLOTS, N_BANDS)
    assert (pattern.bits < 0).sum() == N_SLOTS * N_BANDS // 3
    assert pattern.signs[0].tolist() == PINNED_SIGNS
    assert pattern.bits[0].tolist() == PINNED_BITS


PINNED_SIGNS = [-1, 1, 1, 1, -1, -1, -1, -1, -1, 1, 1, -1, 1, -1, -1, -1, 1, -1, 1, 1, -1, 1, 1, -1]
PINNED_BITS = [
    51,
    6,
    -1,
    -1,
    -1,
    -1,
    3,
    -1,
    -1,
    84,
    -1,
    28,
    28,
    -1,
    54,
    33,
    51,
    23,
    52,
    -1,
    33,
    17,
    -1,
    37,
]
