"""The harmonic codec's training task and what it rests on, on made-up voices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from openbark.backends.torch.harmonic import (
    Controls,
    HarmonicCodec,
    minimum_phase,
    pulse_train,
    white_noise,
)
from openbark.config import HarmonicCodecConfig
from openbark.errors import TrainingError
from openbark.training.codec import CodecTaskOptions
from openbark.training.data import Utterance
from openbark.training.harmonic_codec import HarmonicCodecTask, clips_of, pitched_clip
from openbark.training.loop import FitOptions, fit
from openbark.training.pulses import pulse_phase

CONFIG = replace(
    HarmonicCodecConfig(),
    encoder_dim=16,
    decoder_dim=16,
    filter_dim=8,
    encoder_layers=1,
    decoder_layers=1,
    codebook_size=32,
    n_codebooks=4,
)
RATE, HOP = CONFIG.sampling_rate, CONFIG.hop_length


def _voice(n_frames: int, hz: float, start: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Clicks at a pitch, through a resonance: (waveform [F * hop], sample indices of the clicks)."""
    length = n_frames * HOP
    clicks = np.arange(start * RATE / hz, length, RATE / hz).astype(int)
    source = np.zeros(length)
    source[clicks] = 1.0
    times = np.arange(400) / RATE
    response = np.exp(-times * 600) * np.cos(2 * np.pi * 1800 * times) + np.exp(
        -times * 400
    ) * np.cos(2 * np.pi * 400 * times)
    return 0.2 * np.convolve(source, response)[:length], clicks


@pytest.mark.parametrize("hz", [90.0, 140.0, 230.0])
def test_pulses_are_found_where_they_are(hz: float) -> None:
    waveform, clicks = _voice(60, hz)
    f0 = np.full(60, hz * 1.004, np.float32)  # A pitch label is never exact.
    phase = pulse_phase(waveform.astype(np.float32), f0, HOP, 120, RATE)
    at_clicks = np.interp(clicks[5:-5], (np.arange(len(phase)) + 0.5) * 120 - 0.5, phase)
    turns = np.angle(np.exp(1j * at_clicks)) / (2 * np.pi)
    assert np.abs(turns).max() < 0.12


def test_a_recording_without_voice_has_no_pulses() -> None:
    assert not pulse_phase(
        np.zeros(HOP * 4, np.float32), np.zeros(4, np.float32), HOP, 120, RATE
    ).any()


def test_pulse_train_has_unit_power_and_the_pitch() -> None:
    pulses, phase = pulse_train(torch.zeros(1, 50), torch.ones(1, 50), HOP, RATE)
    assert float(pulses.square().mean()) == pytest.approx(1.0, abs=0.03)
    assert float(phase[0]) == pytest.approx(2 * np.pi * 150 * 50 * HOP / RATE, rel=1e-9)
    assert int((pulses > 5).sum()) == 150


def test_pulse_train_goes_on_at_a_given_phase() -> None:
    log_f0, voiced = torch.randn(1, 20) * 0.1, torch.ones(1, 20)
    whole, _ = pulse_train(log_f0, voiced, HOP, RATE)
    _, middle = pulse_train(log_f0[:, :10], voiced[:, :10], HOP, RATE)
    # The last half frame of a piece does not know the next frame, so pieces are made with a margin.
    assert float(middle[0]) > 0
    again, _ = pulse_train(log_f0, voiced, HOP, RATE, phase=2 * np.pi)
    assert torch.allclose(whole, again, atol=1e-4)


def test_noise_is_the_same_in_pieces() -> None:
    whole = white_noise(0, 1000)
    assert torch.equal(whole[300:700], white_noise(300, 400))
    assert float(whole.square().mean()) == pytest.approx(1.0, abs=0.1)


def test_minimum_phase_keeps_the_magnitude_and_comes_early() -> None:
    log_magnitude = torch.cos(torch.linspace(0, 6, 257))
    response = minimum_phase(log_magnitude)
    assert torch.allclose(response.abs().log(), log_magnitude, atol=1e-4)
    impulse = torch.fft.irfft(response)
    assert float(impulse[:64].square().sum() / impulse.square().sum()) > 0.99


def test_flat_filters_pass_the_source() -> None:
    decoder = HarmonicCodec(CONFIG).decoder
    frames = 10 * CONFIG.subframes
    controls = Controls(
        torch.zeros(1, frames, CONFIG.n_bands),
        torch.full((1, frames, CONFIG.n_bands), -30.0),
        torch.zeros(1, 10),
        torch.ones(1, 10),
    )
    source = torch.randn(1, 10 * HOP)
    output = decoder.synthesise(controls, source, torch.randn(1, 10 * HOP))
    assert torch.allclose(output[:, 200:-200], source[:, 200:-200], atol=1e-4)


def _utterance(key: str, hz: float) -> Utterance:
    waveform, _ = _voice(60, hz)
    pcm = np.round(waveform * 20000).astype(np.int16)
    return Utterance(key, "", key, waveform=pcm, pitch=np.full(60, round(hz * 10), np.int16))


def test_training_lowers_the_loss(tmp_path: object) -> None:
    clips = clips_of([_utterance("a", 110.0), _utterance("b", 180.0)], CONFIG)
    options = CodecTaskOptions(batch_size=4, crop_frames=25, quantize_from=20, init_batches=4)
    task = HarmonicCodecTask(CONFIG, clips, clips[:1], options)
    losses: list[float] = []
    result = fit(
        task,
        FitOptions(40, 3e-3, warmup=5, precision="fp32", log_every=5, validate_every=40),
        tmp_path,  # type: ignore[arg-type]
        progress=lambda step, means: losses.append(means["stft"]),
    )
    assert losses[-1] < 0.8 * losses[0]
    assert {"mel_all", "mel_2", "pitch", "voicing_error"} <= set(result.metrics)


def test_clips_need_sound_and_pitch() -> None:
    with pytest.raises(TrainingError, match="'x'"):
        clips_of([Utterance("x", "", "x")], CONFIG)
    short = pitched_clip(np.zeros(HOP * 3, np.int16), np.zeros(3, np.float32), CONFIG)
    with pytest.raises(TrainingError, match="frames"):
        HarmonicCodecTask(CONFIG, [short], [short], CodecTaskOptions())
