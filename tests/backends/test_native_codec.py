"""The compiled codecs against PyTorch: waveforms, codes, odd lengths, every kernel variant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from threading import Thread
from typing import Any

import numpy as np
import pytest
from codec_cases import (
    ENCODEC,
    ISTFT,
    TINY_ENCODEC,
    TINY_HARMONIC,
    TINY_ISTFT,
    codes_of,
    encodec,
    harmonic,
    istft,
    randomise,
    tensors_of,
)
from native_engine import needs_engine, variants
from numpy.typing import NDArray

from openbark.backends.native import codec_layout, spectra
from openbark.backends.native.codec import (
    NativeCodec,
    NativeSemanticEncoder,
)
from openbark.backends.native.library import Pool
from openbark.config import EncodecConfig, SemanticEncoderConfig
from openbark.errors import (
    AudioError,
    CheckpointCorruptError,
    CheckpointUnsupportedError,
    InputError,
)

torch = pytest.importorskip("torch")

from openbark.backends.torch.convnext import mel_filterbank  # noqa: E402
from openbark.backends.torch.semantic_encoder import SemanticEncoder  # noqa: E402

pytestmark = needs_engine

# Of the loudest sample: both sides add up float32 products in different orders.
TOLERANCE = 1e-5
# Squared distances closer than this, relative to the nearest, are a tie that rounding may decide.
TIE = 1e-4

TINY_SEMANTIC = SemanticEncoderConfig(hop_length=48, n_mels=9, mel_n_fft=120, dim=20, vocab_size=60)
SEMANTIC = {
    "tiny": TINY_SEMANTIC,
    "one layer": replace(TINY_SEMANTIC, n_layer=1, pitch_bins=1, kernel_size=3),
    "two layers": replace(TINY_SEMANTIC, n_layer=2, pitch_bins=5),
    "embedded": SemanticEncoderConfig(),
    "phones and six pitches": SemanticEncoderConfig(vocab_size=1278, pitch_bins=6),
}


@cache
def _pool(threads: int = 2, kernels: str | None = None) -> Pool:
    return Pool(threads, kernels)


def _waveform(length: int) -> NDArray[np.float32]:
    return (0.3 * np.random.default_rng(length).standard_normal(length)).astype(np.float32)


def _assert_same_waveform(module: Any, native: Any, codes: NDArray[np.int64]) -> None:
    expected = module.decode(torch.from_numpy(codes)[None])[0].numpy()
    got = native.decode(codes)
    assert got.dtype == np.float32
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(got, expected, atol=TOLERANCE * scale, rtol=0)


def _assert_nearest(module: Any, waveform: NDArray[np.float32], codes: NDArray[np.int64]) -> None:
    """Every code is the nearest entry to what the codes before it left over, ties aside."""
    residual = module.encode_latent(torch.from_numpy(waveform)[None])[0].double().numpy()
    assert codes.dtype == np.int64 and codes.shape[1] == len(residual)
    for k, row in enumerate(codes):
        table = module.quantizer.codebook(k).embed.double().numpy()
        distances = np.square(residual[:, None] - table[None]).sum(-1)
        chosen = distances[np.arange(len(row)), row]
        assert np.all(chosen <= distances.min(1) * (1 + TIE) + TIE)
        residual = residual - table[row]


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("name", ENCODEC)
def test_encodec_decode_equals_torch(name: str, kernels: str) -> None:
    config = ENCODEC[name]
    module, tensors = encodec(config)
    native = NativeCodec(config, tensors, _pool(2, kernels))
    for frames in (1, 2, 3, 9, 40, 131):
        _assert_same_waveform(module, native, codes_of(config, frames))
    for count in range(1, config.n_codebooks):
        _assert_same_waveform(module, native, codes_of(config, 7)[:count])


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("name", ENCODEC)
def test_encodec_encode_equals_torch(name: str, kernels: str) -> None:
    config = ENCODEC[name]
    module, tensors = encodec(config)
    native = NativeCodec(config, tensors, _pool(2, kernels))
    hop = config.hop_length
    for length in (1, 2, hop - 1, hop, hop + 1, 9 * hop + 5, 131 * hop - 7):
        if config.norm_type == "time_group_norm" and length <= hop:
            continue  # PyTorch refuses to normalise a single value.
        waveform = _waveform(length)
        codes = native.encode(waveform)
        assert codes.shape == (config.n_codebooks, math.ceil(length / hop))
        _assert_nearest(module, waveform, codes)
        np.testing.assert_array_equal(native.encode(waveform, 2), codes[:2])


def test_the_published_encodec() -> None:
    config = EncodecConfig()
    module, tensors = encodec(config)
    native = NativeCodec(config, tensors, _pool())
    _assert_same_waveform(module, native, codes_of(config, 40)[:8])
    waveform = _waveform(320 * 20 + 11)
    codes = native.encode(waveform, n_codebooks=8)
    assert codes.shape == (8, 21)
    _assert_nearest(module, waveform, codes)


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("name", ISTFT)
def test_istft_codec_equals_torch(name: str, kernels: str) -> None:
    config = ISTFT[name]
    module, tensors = istft(config)
    native = NativeCodec(config, tensors, _pool(2, kernels))
    hop = config.hop_length
    for frames in (1, 2, 5, 70):
        codes = codes_of(config, frames)
        _assert_same_waveform(module, native, codes)
        _assert_same_waveform(module, native, codes[:1])
    for length in (1, hop - 1, hop, hop + 1, 9 * hop + 5, 60 * hop - 7):
        waveform = _waveform(length)
        codes = native.encode(waveform)
        assert codes.shape == (config.n_codebooks, math.ceil(length / hop))
        _assert_nearest(module, waveform, codes)
        np.testing.assert_array_equal(native.encode(waveform, 1), codes[:1])


def test_loud_predictions_do_not_overflow() -> None:
    _, tensors = istft(TINY_ISTFT)
    loud = tensors | {"decoder.head.bias": np.full_like(tensors["decoder.head.bias"], 500.0)}
    waveform = NativeCodec(TINY_ISTFT, loud, _pool()).decode(codes_of(TINY_ISTFT, 9))
    assert np.isfinite(waveform).all()


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("name", SEMANTIC)
def test_semantic_encoder_equals_torch(name: str, kernels: str) -> None:
    config = SEMANTIC[name]
    module = randomise(SemanticEncoder(config), 3)
    native = NativeSemanticEncoder(config, tensors_of(module), _pool(2, kernels))
    for length in (1, config.hop_length, config.hop_length + 1, 70 * config.hop_length - 7):
        waveform = _waveform(length)
        tokens = native.encode(waveform)
        assert tokens.dtype == np.int64
        assert tokens.shape == (math.ceil(length / config.hop_length),)
        scores = module(torch.from_numpy(waveform)[None])
        parts = (tokens // config.pitch_bins, tokens % config.pitch_bins)
        for logits, chosen in zip(scores, parts, strict=True):
            rows = logits[0].numpy()
            assert np.all(rows[np.arange(len(rows)), chosen] >= rows.max(1) - TIE)


def test_the_mel_filters_are_those_of_torch() -> None:
    for sizes in ((24_000, 1024, 80, 8025.0), (24_000, 120, 9, 8000.0)):
        ours = spectra.mel_filterbank(*sizes)
        np.testing.assert_array_equal(ours.T, mel_filterbank(*sizes).numpy())


@pytest.mark.parametrize("name", ["tiny", "not causal", "dilated"])
def test_threads_and_stretches_do_not_change_the_result(name: str) -> None:
    """A long sequence is cut into stretches whose number follows the threads; no seam may show."""
    config = ENCODEC[name]
    _, tensors = encodec(config)
    codes, waveform = codes_of(config, 300), _waveform(300 * config.hop_length - 5)
    one, five = (NativeCodec(config, tensors, _pool(threads)) for threads in (1, 5))
    np.testing.assert_allclose(five.decode(codes), one.decode(codes), atol=2e-6, rtol=0)
    same = five.encode(waveform) == one.encode(waveform)
    assert same.mean() > 0.999


def test_one_codec_serves_several_callers() -> None:
    _, tensors = encodec(TINY_ENCODEC)
    native = NativeCodec(TINY_ENCODEC, tensors, _pool())
    clips = [codes_of(TINY_ENCODEC, frames) for frames in (5, 33, 80)]
    expected = [native.decode(codes) for codes in clips]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(10):
            if not np.array_equal(native.decode(clips[index]), expected[index]):
                wrong.append(index)

    callers = [Thread(target=work, args=(index,)) for index in range(len(clips))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda codes: codes[0], "give whole numbers"),
        (lambda codes: codes.astype(np.float32), "give whole numbers"),
        (lambda codes: codes[:0], "allowed are 1 to 4"),
        (lambda codes: np.concatenate([codes, codes]), "allowed are 1 to 4"),
        (lambda codes: codes[:, :0], "no frames"),
        (lambda codes: codes + 19, "allowed are 0 to 18"),
        (lambda codes: codes - 19, "allowed are 0 to 18"),
    ],
)
def test_impossible_codes_are_refused(
    spoil: Callable[[NDArray[np.int64]], NDArray[Any]], problem: str
) -> None:
    native = NativeCodec(TINY_ISTFT, istft(TINY_ISTFT)[1], _pool())
    with pytest.raises(InputError, match=problem):
        native.decode(spoil(codes_of(TINY_ISTFT, 3)))


def test_impossible_waveforms_are_refused() -> None:
    native = NativeCodec(TINY_ISTFT, istft(TINY_ISTFT)[1], _pool())
    for waveform in (np.zeros((2, 9)), np.zeros(9, dtype=np.int16)):
        with pytest.raises(AudioError, match="one channel"):
            native.encode(waveform)
    with pytest.raises(AudioError, match="empty"):
        native.encode(np.zeros(0, dtype=np.float32))
    with pytest.raises(InputError, match="allowed are 1 to 4"):
        native.encode(_waveform(9), 5)


def test_other_layouts_of_memory_are_read_right() -> None:
    native = NativeCodec(TINY_ISTFT, istft(TINY_ISTFT)[1], _pool())
    codes, waveform = codes_of(TINY_ISTFT, 12), _waveform(400)
    np.testing.assert_array_equal(
        native.decode(np.asfortranarray(codes.astype(np.uint16))[:, ::2]),
        native.decode(np.ascontiguousarray(codes[:, ::2])),
    )
    np.testing.assert_array_equal(
        native.encode(waveform.astype(np.float64)[::2]), native.encode(waveform[::2].copy())
    )


def test_weights_that_disagree_with_the_config_are_refused() -> None:
    _, tensors = encodec(TINY_ENCODEC)
    name = "decoder.layers.0.conv.weight"
    missing = {key: value for key, value in tensors.items() if key != name}
    with pytest.raises(CheckpointCorruptError, match=rf"{name} is missing"):
        NativeCodec(TINY_ENCODEC, missing, _pool()).decode(np.zeros((2, 3), dtype=np.int64))
    misshapen = NativeCodec(TINY_ENCODEC, tensors | {name: tensors[name][:, :1]}, _pool())
    with pytest.raises(CheckpointCorruptError, match=rf"{name} has shape"):
        misshapen.decode(np.zeros((2, 3), dtype=np.int64))


def test_codecs_the_engine_cannot_run_are_refused() -> None:
    pool = _pool()
    for change in ({"audio_channels": 2}, {"pad_mode": "circular"}, {"hidden_size": 4}):
        config = replace(TINY_ENCODEC, **change)
        with pytest.raises(CheckpointUnsupportedError, match="use the torch backend"):
            NativeCodec(config, encodec(TINY_ENCODEC)[1], pool)
    odd = replace(TINY_ISTFT, hop_length=66, n_fft=99)
    with pytest.raises(CheckpointUnsupportedError, match="use the torch backend"):
        NativeCodec(odd, istft(TINY_ISTFT)[1], pool)
    tensors = harmonic(TINY_HARMONIC)[1]
    with pytest.raises(CheckpointUnsupportedError, match="use the torch backend"):
        NativeCodec(replace(TINY_HARMONIC, n_fft=97), tensors, pool)
    codec = NativeCodec(replace(TINY_HARMONIC, pitch_n_fft=193), tensors, pool)
    with pytest.raises(CheckpointUnsupportedError, match="use the torch backend"):
        codec.encode(_waveform(100))


def test_a_layout_of_another_length_is_an_error_and_no_crash() -> None:
    """The library checks what the flat description claims."""
    from openbark.backends.native.codec import _Network

    _, tensors = istft(TINY_ISTFT)
    for spoil in (
        lambda layout: layout.sizes.append(1),
        lambda layout: layout.sizes.pop(),
        lambda layout: layout.arrays.pop(),
        lambda layout: layout.arrays.append(layout.arrays[0]),
        lambda layout: layout.arrays.insert(0, layout.arrays[-1]),
    ):
        layout = codec_layout.istft_decoder(TINY_ISTFT, tensors)
        spoil(layout)
        with pytest.raises(InputError, match="codec"):
            _Network(_pool(), layout)
