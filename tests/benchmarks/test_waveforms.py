from __future__ import annotations

import numpy as np
import pytest

from benchmarks.codec_check import mel_distance
from benchmarks.waveforms import frame, mel_filters, resample, rms_envelope


@pytest.mark.parametrize(
    ("source", "target"), [(24_000, 16_000), (16_000, 24_000), (22_050, 16_000)]
)
def test_resampling_keeps_a_tone(source: int, target: int) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(source) / source)
    wanted = np.sin(2 * np.pi * 1000 * np.arange(target) / target)
    found = resample(tone, source, target)
    assert len(found) == target
    assert np.abs(found - wanted)[300:-300].max() < 1e-4


def test_resampling_removes_what_would_fold_back() -> None:
    tone = np.sin(2 * np.pi * 10_000 * np.arange(24_000) / 24_000)
    assert np.abs(resample(tone, 24_000, 16_000)[300:-300]).max() < 1e-4


def test_resampling_of_nothing_is_nothing() -> None:
    assert len(resample(np.zeros(0), 24_000, 16_000)) == 0


def test_frames_cover_the_end_and_an_empty_clip_has_one() -> None:
    frames = frame(np.arange(1, 8), 4, 2)
    assert frames.tolist() == [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 0]]
    assert frame(np.zeros(0), 4, 2).shape == (1, 4)


def test_envelope_is_the_rms_of_blocks() -> None:
    assert rms_envelope(np.r_[np.ones(10), np.zeros(10)], 1000).tolist() == [1.0, 0.0]


def test_every_mel_band_hears_something() -> None:
    bank = mel_filters(16_000, 512, 24, 100.0, 7000.0)
    assert bank.shape == (257, 24)
    assert (bank.max(axis=0) > 0.3).all()
    assert (bank[:3] == 0.0).all()


def test_mel_distance_is_the_log_of_a_gain() -> None:
    noise = np.random.default_rng(0).standard_normal(24_000)
    assert mel_distance(noise, noise, 24_000) == 0.0
    assert mel_distance(noise, 2.0 * noise, 24_000) == pytest.approx(np.log(2.0), rel=1e-3)
