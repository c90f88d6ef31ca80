"""The iSTFT codec against naive loops: framing, lengths, quantiser, band limit, key names."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from openbark.backends.torch.convnext import LogMelFrames, mel_filterbank
from openbark.backends.torch.istft import IstftCodec, overlap_add
from openbark.backends.torch.residual import ResidualQuantizer
from openbark.config import IstftCodecConfig
from openbark.errors import InputError

TINY = IstftCodecConfig(
    hop_length=48,
    n_fft=96,
    n_bins=33,
    n_mels=12,
    mel_n_fft=128,
    codebook_size=16,
    codebook_dim=6,
    n_codebooks=4,
    encoder_dim=12,
    encoder_layers=2,
    decoder_dim=16,
    decoder_layers=2,
)


def _codec(config: IstftCodecConfig = TINY, seed: int = 0) -> IstftCodec:
    torch.manual_seed(seed)
    codec = IstftCodec(config).eval()
    for k in range(config.n_codebooks):
        codec.quantizer.codebook(k).embed.normal_(0.0, 0.5**k)
    return codec


def _waveform(length: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(length)
    return 0.3 * torch.randn(batch, length, generator=generator)


@pytest.mark.parametrize("length", [1, 47, 48, 49, 480, 1001])
@torch.no_grad()
def test_lengths_are_exact(length: int) -> None:
    codec = _codec()
    frames = math.ceil(length / 48)
    waveform = _waveform(length, batch=2)
    assert codec.encode_latent(waveform).shape == (2, frames, 6)
    codes = codec.encode(waveform)
    assert codes.shape == (2, 4, frames)
    assert codes.dtype == torch.int64
    for books in (1, 2, 4):
        assert codec.decode(codes[:, :books]).shape == (2, frames * 48)
    assert torch.equal(codec.encode(waveform, n_codebooks=2), codes[:, :2])


@torch.no_grad()
def test_default_sizes_give_fifty_frames_a_second() -> None:
    codec = _codec(IstftCodecConfig())
    codes = codec.encode(_waveform(24_000))
    assert codes.shape == (1, 8, 50)
    assert codec.decode(codes).shape == (1, 24_000)


@torch.no_grad()
def test_same_input_same_codes_same_waveform() -> None:
    first, second = _codec(), _codec()
    waveform = _waveform(960)
    codes = first.encode(waveform)
    assert torch.equal(codes, second.encode(waveform))
    assert torch.equal(first.decode(codes), second.decode(codes))


@pytest.mark.parametrize("books", [0, 5])
def test_impossible_codebook_counts_are_refused(books: int) -> None:
    codec = _codec()
    with pytest.raises(InputError, match="1 to 4"):
        codec.encode(_waveform(480), n_codebooks=books)
    with pytest.raises(InputError, match="1 to 4"):
        codec.decode(torch.zeros(1, books, 3, dtype=torch.int64))


@torch.no_grad()
def test_quantiser_equals_a_loop() -> None:
    torch.manual_seed(1)
    quantizer = ResidualQuantizer(3, 16, 4)
    tables = []
    for k in range(3):
        quantizer.codebook(k).embed.normal_(0.0, 0.5**k)
        tables.append(quantizer.codebook(k).embed.numpy().astype(np.float64))
    latent = torch.randn(2, 7, 4)
    codes = quantizer.encode(latent).numpy()
    decoded = quantizer.decode(torch.from_numpy(codes)).numpy()
    for item in range(2):
        for frame in range(7):
            left = latent[item, frame].numpy().astype(np.float64)
            total = np.zeros(4)
            for k in range(3):
                distances = [float(((left - entry) ** 2).sum()) for entry in tables[k]]
                best = int(np.argmin(distances))
                assert codes[item, k, frame] == best
                left = left - tables[k][best]
                total += tables[k][best]
            np.testing.assert_allclose(decoded[item, frame], total, atol=1e-5)


def test_ties_take_the_lowest_index() -> None:
    quantizer = ResidualQuantizer(1, 4, 2)
    quantizer.codebook(0).embed[:] = torch.tensor([[9.0, 9.0], [1.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    assert quantizer.encode(torch.tensor([[[1.0, 0.0]]])).item() == 1


def _naive_log_mel(waveform: NDArray[np.float32], config: IstftCodecConfig) -> NDArray[np.float64]:
    hop, size = config.stft_hop, config.mel_n_fft
    frames = math.ceil(len(waveform) / config.hop_length)
    bank = mel_filterbank(config.sampling_rate, size, config.n_mels, config.bandwidth_hz).numpy()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    rows = []
    for s in range(frames * config.subframes):
        first = s * hop + hop // 2 - size // 2
        piece = np.zeros(size)
        for n in range(size):
            if 0 <= first + n < len(waveform):
                piece[n] = waveform[first + n]
        mel = np.abs(np.fft.rfft(piece * window)) @ bank
        rows.append((np.log(np.maximum(mel, 1e-4)) + 4.0) / 3.0)
    return np.array(rows).reshape(frames, config.subframes * config.n_mels)


@pytest.mark.parametrize("length", [5, 48, 130, 480])
@pytest.mark.parametrize("subframes", [1, 2, 4])
def test_log_mel_frames_equal_a_loop(length: int, subframes: int) -> None:
    config = replace(TINY, subframes=subframes)
    features = LogMelFrames(24_000, config.stft_hop, subframes, 128, 12, config.bandwidth_hz)
    waveform = _waveform(length)
    expected = _naive_log_mel(waveform[0].numpy(), config)
    np.testing.assert_allclose(features(waveform)[0].numpy(), expected, atol=2e-4)


def _naive_synthesis(
    spectrum: NDArray[np.complex64], config: IstftCodecConfig
) -> NDArray[np.float64]:
    hop, size = config.stft_hop, config.n_fft
    count = len(spectrum)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    total, squares = np.zeros(count * hop), np.zeros(count * hop)
    for s in range(count):
        full = np.zeros(size // 2 + 1, dtype=np.complex128)
        full[: config.n_bins] = spectrum[s]
        frame = np.fft.irfft(full, n=size) * window
        first = s * hop + hop // 2 - size // 2
        for n in range(size):
            if 0 <= first + n < len(total):
                total[first + n] += frame[n]
                squares[first + n] += window[n] ** 2
    return total / squares


@pytest.mark.parametrize("count", [2, 4, 10])
def test_synthesis_equals_a_loop(count: int) -> None:
    codec = _codec()
    generator = torch.Generator().manual_seed(count)
    spectrum = torch.randn(1, count, 33, dtype=torch.complex64, generator=generator)
    expected = _naive_synthesis(spectrum[0].numpy(), TINY)
    got = codec.decoder.synthesise(spectrum)[0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_synthesis_inverts_the_stft_at_the_stated_centres() -> None:
    codec = _codec(IstftCodecConfig())
    hop, size, count = 240, 960, 40
    time = torch.arange(count * hop) / 24_000
    signal = torch.sin(2 * torch.pi * 440 * time) + 0.5 * torch.cos(2 * torch.pi * 3000 * time)
    start = size // 2 - hop // 2
    padded = torch.nn.functional.pad(signal[None], (start, size))
    frames = padded.unfold(-1, size, hop)[:, :count]
    spectrum = torch.fft.rfft(frames * torch.hann_window(size))[..., :322]
    rebuilt = codec.decoder.synthesise(spectrum)[0]
    # The first and last window see the signal's cut edge, whose spectrum is wider than the band.
    inner = slice(size, -size)
    torch.testing.assert_close(rebuilt[inner], signal[inner], atol=1e-3, rtol=0)


@torch.no_grad()
def test_output_carries_nothing_above_the_band_limit() -> None:
    config = IstftCodecConfig()
    codec = _codec(config)
    codec.decoder.head.weight.normal_(0.0, 0.1)
    codec.decoder.head.bias.zero_()
    output = codec.decode_latent(torch.randn(1, 100, config.codebook_dim))[0].double()
    inner = output[960:-960] * torch.hann_window(len(output) - 1920, dtype=torch.float64)
    power = torch.fft.rfft(inner).abs().square()
    frequency = torch.fft.rfftfreq(len(inner), 1 / 24_000)
    below = power[frequency < config.bandwidth_hz].mean()
    # The window's main lobe is two bins wide on either side; then its side lobes fall away.
    assert power[frequency > config.bandwidth_hz + 8 * 25].mean() < 1e-6 * below
    assert power[frequency > 9000].mean() < 1e-8 * below
    near_top = (frequency > config.bandwidth_hz - 500) & (frequency < config.bandwidth_hz)
    assert power[near_top].mean() > 0.1 * below


def test_overlap_add_equals_a_loop() -> None:
    frames = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(2, 4 * 3 + 12)
    for s in range(5):
        expected[:, s * 3 : s * 3 + 12] += frames[:, s]
    torch.testing.assert_close(overlap_add(frames, 3), expected)


def test_decoding_is_differentiable_and_float32_under_autocast() -> None:
    codec = _codec()
    latent = torch.randn(1, 8, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        output = codec.decode_latent(latent)
        codes = codec.encode(_waveform(480))
    assert output.dtype == torch.float32
    assert codes.dtype == torch.int64
    output.square().sum().backward()
    assert latent.grad is not None
    assert bool(torch.isfinite(latent.grad).all()) and float(latent.grad.abs().min()) > 0.0


def test_loud_predictions_do_not_overflow() -> None:
    codec = _codec()
    with torch.no_grad():
        codec.decoder.head.bias.fill_(500.0)
        output = codec.decode_latent(torch.randn(1, 4, 6))
    assert bool(torch.isfinite(output).all())


def test_checkpoint_keys_are_stable() -> None:
    keys = set(_codec().state_dict())
    block = ("depthwise.weight", "depthwise.bias", "norm.weight", "norm.bias", "up.weight")
    block += ("up.bias", "down.weight", "down.bias", "scale")
    expected = {f"quantizer.layers.{k}.codebook.embed" for k in range(4)}
    for side, last in (("encoder", "project"), ("decoder", "head")):
        for name in ("embed", "norm", "final_norm"):
            expected |= {f"{side}.stack.{name}.weight", f"{side}.stack.{name}.bias"}
        expected |= {f"{side}.stack.layers.{i}.{name}" for i in range(2) for name in block}
        expected |= {f"{side}.{last}.weight", f"{side}.{last}.bias"}
    assert keys == expected
