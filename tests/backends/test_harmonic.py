"""The harmonic codec in PyTorch against naive loops: lengths, sources, filters, streams' phase, key names."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from codec_cases import HARMONIC, TINY_HARMONIC, codes_of, harmonic
from numpy.typing import NDArray

from openbark.config import HarmonicCodecConfig
from openbark.errors import InputError

torch = pytest.importorskip("torch")

from openbark.backends.torch.codec_streams import codec_stream  # noqa: E402
from openbark.backends.torch.harmonic import (  # noqa: E402
    PitchSpectrum,
    between_frames,
    pulse_train,
    white_noise,
)


def _waveform(length: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(length)
    return 0.3 * torch.randn(batch, length, generator=generator)


@pytest.mark.parametrize("length", [1, 47, 48, 49, 480, 1001])
def test_lengths_are_exact(length: int) -> None:
    codec, _ = harmonic(TINY_HARMONIC)
    frames = math.ceil(length / 48)
    waveform = _waveform(length, batch=2)
    assert codec.encode_latent(waveform).shape == (2, frames, 6)
    codes = codec.encode(waveform)
    assert codes.shape == (2, 4, frames)
    assert codes.dtype == torch.int64
    for books in (1, 2, 4):
        assert codec.decode(codes[:, :books]).shape == (2, frames * 48)
    assert torch.equal(codec.encode(waveform, n_codebooks=2), codes[:, :2])
    with pytest.raises(InputError, match="1 to 4"):
        codec.decode(codes[:, :0])


def test_default_sizes_give_fifty_frames_a_second() -> None:
    codec, _ = harmonic(HarmonicCodecConfig())
    codes = codec.encode(_waveform(24_000))
    assert codes.shape == (1, 8, 50)
    assert codec.decode(codes).shape == (1, 24_000)


def test_a_batch_is_its_clips() -> None:
    codec, _ = harmonic(TINY_HARMONIC)
    codes = torch.from_numpy(
        np.stack([codes_of(TINY_HARMONIC, 20), codes_of(TINY_HARMONIC, 20) // 2])
    )
    both = codec.decode(codes)
    for index in range(2):
        alone = codec.decode(codes[index : index + 1])[0]
        torch.testing.assert_close(both[index], alone, atol=1e-4, rtol=0)


def test_the_pitch_spectrum_equals_a_loop() -> None:
    config, length = TINY_HARMONIC, 437
    size, hop = config.pitch_n_fft, config.hop_length
    waveform = _waveform(length)
    found = PitchSpectrum(config)(waveform)[0].numpy()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    assert found.shape == (math.ceil(length / hop), config.pitch_bins)
    for frame, row in enumerate(found):
        first = frame * hop + hop // 2 - size // 2
        piece = [
            float(waveform[0, i]) if 0 <= i < length else 0.0 for i in range(first, first + size)
        ]
        low = np.abs(np.fft.rfft(np.array(piece) * window))[4 : 4 + config.pitch_bins]
        logs = np.log(np.maximum(low, 1e-4))
        np.testing.assert_allclose(row, (logs - logs.mean()) / 2, atol=2e-4)


def test_the_pulse_train_is_the_sum_of_its_cosines() -> None:
    log_f0 = torch.tensor([[0.0, 0.3, -0.2, 0.1]])
    pulses, _ = pulse_train(log_f0, torch.ones_like(log_f0), 48, 24_000)
    f0 = 150.0 * np.exp(between_frames(log_f0.double(), 48)[0].numpy())
    phase = np.cumsum(f0) * 2 * np.pi / 24_000
    for sample in range(0, 192, 7):
        count = math.floor(12_000 / f0[sample])
        cosines = sum(math.cos(k * phase[sample]) for k in range(1, count + 1))
        assert float(pulses[0, sample]) == pytest.approx(cosines / math.sqrt(count / 2), abs=1e-4)


def test_a_frame_without_voice_has_no_pulses() -> None:
    voiced = torch.tensor([[0.0, 1.0, 0.0, 0.0, 1.0]])
    pulses, _ = pulse_train(torch.zeros(1, 5), voiced, 48, 24_000)
    frames = pulses.view(5, 48)
    assert ((frames != 0).any(1)).tolist() == [False, True, False, False, True]
    # The phase runs on through it, as if it were voiced.
    through, _ = pulse_train(torch.zeros(1, 5), torch.ones(1, 5), 48, 24_000)
    assert torch.equal(frames[4], through.view(5, 48)[4])


def test_white_noise_belongs_to_the_number_of_the_sample() -> None:
    noise = white_noise(0, 100_000)
    assert torch.equal(white_noise(70_001, 500), noise[70_001:70_501])
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.square().mean()) == pytest.approx(1, abs=0.01)
    spectrum = torch.fft.rfft(noise[:65_536]).abs().square().view(-1)[1:32_769].view(8, -1).mean(1)
    assert float(spectrum.max() / spectrum.min()) < 1.1


def _naive_synthesis(
    controls: NDArray[np.float64], sources: NDArray[np.float64], config: HarmonicCodecConfig
) -> NDArray[np.float64]:
    """One filter a frame, as a convolution in the time domain."""
    hop, size = config.filter_hop, config.n_fft
    total = np.zeros(len(sources) + size)
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)
    for s, log_magnitude in enumerate(controls):
        cepstrum = np.fft.irfft(log_magnitude)
        folded = np.concatenate(
            [cepstrum[:1], 2 * cepstrum[1 : size // 2], cepstrum[size // 2 : size // 2 + 1]]
        )
        response = np.fft.irfft(np.exp(np.fft.rfft(folded, n=size)), n=size)
        first = s * hop - hop // 2
        piece = np.zeros(size)
        for n in range(2 * hop):
            if 0 <= first + n < len(sources):
                piece[n] = sources[first + n] * window[n]
        # Circular, for that is what a product of spectra is.
        filtered = np.array(
            [sum(piece[j] * response[(n - j) % size] for j in range(2 * hop)) for n in range(size)]
        )
        for n in range(size):
            if 0 <= first + n < len(total):
                total[first + n] += filtered[n]
    return total[: len(sources)]


def test_synthesis_equals_a_loop() -> None:
    codec, _ = harmonic(TINY_HARMONIC, voiced=100.0)
    decoder, frames = codec.decoder, 3
    codes = torch.from_numpy(codes_of(TINY_HARMONIC, frames))[None]
    controls = decoder.controls(codec.quantizer.decode(codes))
    pulses, _ = pulse_train(controls.log_f0, torch.ones(1, frames), 48, 24_000)
    noise = white_noise(0, frames * 48)[None]
    expected = np.zeros(frames * 48)
    for source, gains in ((pulses, controls.harmonic), (noise, controls.noise)):
        logs = (gains[0].double() @ decoder.spread.double()).numpy()
        expected += _naive_synthesis(logs, source[0].double().numpy(), TINY_HARMONIC)
    found = codec.decode(codes)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", HARMONIC)
def test_a_stream_in_double_precision_is_the_whole(name: str) -> None:
    """Long enough for an error in the phase to grow; in double precision it is no rounding that grows."""
    codec = copy.deepcopy(harmonic(HARMONIC[name], voiced=1.0)[0]).double()
    codes = codes_of(HARMONIC[name], 120)
    expected = codec.decode(torch.from_numpy(codes)[None])[0].numpy()
    stream = codec_stream(codec)
    pieces = [stream.push(codes[:, start : start + 9]) for start in range(0, 120, 9)]
    found = np.concatenate([*pieces, stream.finish()])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def test_decoding_is_differentiable_and_float32_under_autocast() -> None:
    codec = copy.deepcopy(harmonic(TINY_HARMONIC)[0])
    latent = torch.randn(1, 8, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        output = codec.decode_latent(latent)
        codes = codec.encode(_waveform(480))
    assert output.dtype == torch.float32
    assert codes.dtype == torch.int64
    output.square().sum().backward()
    assert latent.grad is not None and bool(torch.isfinite(latent.grad).all())


def test_checkpoint_keys_are_stable() -> None:
    block = ("depthwise.weight", "depthwise.bias", "norm.weight", "norm.bias", "up.weight")
    block += ("up.bias", "down.weight", "down.bias", "scale")
    expected = {f"quantizer.layers.{k}.codebook.embed" for k in range(4)}
    for side, layers in (("encoder", 2), ("decoder", 3)):
        for name in ("embed", "norm", "final_norm"):
            expected |= {f"{side}.stack.{name}.weight", f"{side}.stack.{name}.bias"}
        expected |= {f"{side}.stack.layers.{i}.{name}" for i in range(layers) for name in block}
    expected |= {f"decoder.filters.{i}.{name}" for i in range(2) for name in block}
    for name in ("encoder.project", "decoder.pitch_head", "decoder.expand", "decoder.filter_norm"):
        expected |= {f"{name}.weight", f"{name}.bias"}
    expected |= {"decoder.filter_head.weight", "decoder.filter_head.bias"}
    assert set(harmonic(TINY_HARMONIC)[0].state_dict()) == expected
