"""EnCodec on its own terms: shapes, causality, padding, bandwidths. Equality with transformers is in parity/."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from openbark.backends.torch.encodec import Encodec, n_codebooks_for_bandwidth
from openbark.config import EncodecConfig
from openbark.errors import AudioError, InputError

TINY = EncodecConfig(
    hidden_size=8,
    num_filters=2,
    upsampling_ratios=(4, 3, 2),
    codebook_size=16,
    codebook_dim=8,
    sampling_rate=2400,
    target_bandwidths=(0.8, 2.0),
)


@pytest.fixture
def codec() -> Encodec:
    torch.manual_seed(3)
    model = Encodec(TINY).eval().requires_grad_(False)
    for k in range(TINY.n_codebooks):
        torch.nn.init.normal_(model.quantizer.codebook(k).embed, std=0.3)
    return model


def test_n_codebooks_of_the_published_codec() -> None:
    published = EncodecConfig()
    assert published.n_codebooks == 32
    assert [n_codebooks_for_bandwidth(published, b) for b in published.target_bandwidths] == [
        2,
        4,
        8,
        16,
        32,
    ]


def test_unknown_bandwidth_is_refused() -> None:
    with pytest.raises(InputError, match=r"allowed: 1\.5, 3, 6, 12, 24"):
        n_codebooks_for_bandwidth(EncodecConfig(), 5.0)


@pytest.mark.parametrize("length", [1, 2, 7, 23, 24, 25, 240, 241])
def test_frames_are_counted_up(codec: Encodec, length: int) -> None:
    codes = codec.encode(torch.randn(2, length) * 0.1)
    frames = math.ceil(length / TINY.hop_length)
    assert codes.shape == (2, TINY.n_codebooks, frames)
    assert codes.dtype == torch.int64
    assert codec.decode(codes).shape == (2, frames * TINY.hop_length)


@pytest.mark.parametrize("n_codebooks", [1, 3])
def test_fewer_codebooks_are_a_prefix(codec: Encodec, n_codebooks: int) -> None:
    waveform = torch.randn(1, 240) * 0.1
    every = codec.encode(waveform)
    some = codec.encode(waveform, n_codebooks)
    assert torch.equal(some, every[:, :n_codebooks])
    assert codec.decode(some).shape == codec.decode(every).shape


@pytest.mark.parametrize("n_codebooks", [0, 6])
def test_codebook_counts_outside_the_model_are_refused(codec: Encodec, n_codebooks: int) -> None:
    with pytest.raises(InputError, match="1 to 5"):
        codec.encode(torch.zeros(1, 24), n_codebooks)


def test_empty_audio_and_empty_codes_are_refused(codec: Encodec) -> None:
    with pytest.raises(AudioError, match="empty"):
        codec.encode(torch.zeros(1, 0))
    with pytest.raises(InputError, match="no frames"):
        codec.decode(torch.zeros(1, 2, 0, dtype=torch.int64))


def test_causal_decoder_never_looks_ahead(codec: Encodec) -> None:
    # The reflected start mirrors the frames under the first kernel, so only later ones can be compared.
    first_free = TINY.kernel_size
    codes = codec.encode(torch.randn(1, 240) * 0.1)
    changed = codes.clone()
    changed[:, :, first_free:] = (changed[:, :, first_free:] + 5) % TINY.codebook_size
    before = first_free * TINY.hop_length
    first, second = codec.decode(codes), codec.decode(changed)
    assert torch.equal(first[:, :before], second[:, :before])
    assert not torch.equal(first[:, before:], second[:, before:])


def test_non_causal_decoder_does_look_ahead() -> None:
    torch.manual_seed(4)
    model = Encodec(replace(TINY, use_causal_conv=False)).eval()
    latent = torch.randn(1, 10, TINY.hidden_size)
    changed = latent.clone()
    changed[:, 6:] += 1.0
    before = 6 * TINY.hop_length
    with torch.no_grad():
        first, second = model.decode_latent(latent), model.decode_latent(changed)
    assert not torch.allclose(first[:, :before], second[:, :before])


def test_residual_quantiser_gets_closer_with_each_codebook() -> None:
    torch.manual_seed(5)
    model = Encodec(TINY).eval().requires_grad_(False)
    for k in range(TINY.n_codebooks):
        embed = model.quantizer.codebook(k).embed
        torch.nn.init.normal_(embed, std=0.6**k)
        embed[0] = 0.0
    latent = torch.randn(1, 50, TINY.codebook_dim)
    errors = []
    for count in range(1, TINY.n_codebooks + 1):
        codes = model.quantizer.encode(latent, count)
        errors.append((model.quantizer.decode(codes) - latent).square().mean().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.8 * errors[0]


def test_float64_weights_compute_in_float64(codec: Encodec) -> None:
    exact = codec.double()
    codes = exact.encode(torch.randn(1, 100, dtype=torch.float64))
    assert exact.decode(codes).dtype == torch.float64
