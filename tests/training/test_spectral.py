"""Spectral losses: values and gradients against torch's own STFT, the band limit, the mel bank."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from openbark.backends.torch.convnext import mel_filterbank
from openbark.training.spectral import MelDistance, Resolution, SpectralLoss, stft_magnitude


def _tone(frequency: float, level: float = 0.3, seconds: float = 0.4) -> Tensor:
    time = torch.arange(int(24_000 * seconds)) / 24_000
    return level * torch.sin(2 * torch.pi * frequency * time)[None]


@pytest.mark.parametrize("n_bins", [5, 17])
def test_magnitude_equals_torch_stft(n_bins: int) -> None:
    waveform = torch.randn(2, 301, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(32)
    reference = torch.stft(waveform, 32, 8, window=window, center=False, return_complex=True)
    got = stft_magnitude(waveform, window, 8, n_bins)
    torch.testing.assert_close(
        got, reference.abs().transpose(1, 2)[..., :n_bins], atol=5e-4, rtol=0
    )


@pytest.mark.parametrize("n_bins", [5, 17])
@pytest.mark.parametrize("length", [64, 71])
def test_magnitude_gradient_is_right(n_bins: int, length: int) -> None:
    generator = torch.Generator().manual_seed(1)
    waveform = torch.randn(2, length, dtype=torch.float64, generator=generator)
    window = torch.hann_window(32, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: stft_magnitude(x, window, 8, n_bins), (waveform.requires_grad_(),)
    )


def test_loss_is_zero_for_equal_and_grows_with_difference() -> None:
    loss = SpectralLoss(24_000, 8000.0)
    target = _tone(440)
    assert [float(term) for term in loss(target, target)] == [0.0, 0.0]
    near = sum(float(term) for term in loss(_tone(440, 0.25), target))
    far = sum(float(term) for term in loss(_tone(900), target))
    assert 0.0 < near < far


def test_nothing_above_the_limit_counts() -> None:
    loss = SpectralLoss(24_000, 8000.0)
    noise = 0.01 * torch.randn(1, 9600, generator=torch.Generator().manual_seed(2))
    low = _tone(440) + noise
    stft, mel = loss(low + _tone(10_500), low)
    louder_low = loss(low + _tone(2_000), low)
    assert float(stft) < 0.02 * float(louder_low[0])
    assert float(mel) < 0.02 * float(louder_low[1])


def test_resolution_without_mel_bands_has_no_mel_term() -> None:
    loss = SpectralLoss(24_000, 8000.0, (Resolution(256, 64, 0),))
    stft, mel = loss(_tone(440), _tone(880))
    assert float(stft) > 0.0
    assert float(mel) == 0.0


def test_mel_distance_is_symmetric_and_measures_level_in_natural_logs() -> None:
    distance = MelDistance(24_000, 8000.0)
    noise = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(3))
    assert float(distance(noise, noise * np.e)) == pytest.approx(1.0, abs=1e-3)
    assert float(distance(noise, 2 * noise)) == pytest.approx(float(distance(2 * noise, noise)))


def test_every_mel_filter_sees_a_bin_and_peaks_below_the_limit() -> None:
    bank = mel_filterbank(24_000, 1024, 80, 8025.0)
    assert bank.shape == (513, 80)
    assert bool((bank.sum(0) > 0).all())
    frequency = torch.arange(513) * 24_000 / 1024
    assert float(bank[frequency >= 8025.0].abs().max()) == 0.0
    assert bool((bank.argmax(0).diff() >= 0).all())
