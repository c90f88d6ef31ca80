"""The compiled harmonic codec against PyTorch: waveforms, codes, odd lengths, every kernel variant."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from codec_cases import (
    HARMONIC,
    TINY_HARMONIC,
    Tensors,
    codes_of,
    harmonic,
    tensors_of,
)
from native_engine import needs_engine, variants
from numpy.typing import NDArray

from openbark.backends.native import codec_layout, spectra
from openbark.backends.native.codec import NativeCodec, _Network
from openbark.backends.native.library import Pool
from openbark.config import HarmonicCodecConfig
from openbark.errors import CheckpointCorruptError, InputError

torch = pytest.importorskip("torch")

from openbark.backends.torch.harmonic import HarmonicCodec, minimum_phase  # noqa: E402

pytestmark = needs_engine

# Of the loudest sample, where both sides have the same pitch.
TOLERANCE = 1e-5


@cache
def _pool(threads: int = 2, kernels: str | None = None) -> Pool:
    return Pool(threads, kernels)


def _waveform(length: int) -> NDArray[np.float32]:
    return (0.3 * np.random.default_rng(length).standard_normal(length)).astype(np.float32)


def _with_pitch(config: HarmonicCodecConfig, hz: float, voicing: float | None) -> HarmonicCodec:
    """A codec of one pitch, and voiced where random weights say or as `voicing` says."""
    module = copy.deepcopy(harmonic(config)[0])
    head = module.decoder.pitch_head
    head.weight[0] = 0.0
    head.bias[0] = math.log(hz / 150.0)
    if voicing is not None:
        head.weight[1], head.bias[1] = 0.0, voicing
    return module


def _decoded(module: Any, codes: NDArray[np.int64]) -> NDArray[np.floating]:
    waveform: NDArray[np.floating] = module.decode(torch.from_numpy(codes)[None])[0].numpy()
    return waveform


def _difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("name", HARMONIC)
@pytest.mark.parametrize(
    ("hz", "voicing"),
    [(117.3, None), (233.1, 1.0), (150.0, -1.0), (20.0, 1.0), (5000.0, None)],
    ids=["both", "voiced", "unvoiced", "below the lowest pitch", "above the highest"],
)
def test_the_same_pitch_gives_the_waveform_of_torch(
    hz: float, voicing: float | None, name: str, kernels: str
) -> None:
    module = _with_pitch(HARMONIC[name], hz, voicing)
    native = NativeCodec(module.config, tensors_of(module), _pool(2, kernels))
    for frames in (1, 2, 5, 41):
        codes = codes_of(module.config, frames)
        assert _difference(native.decode(codes), _decoded(module, codes)) < TOLERANCE
    one_book = codes_of(module.config, 7)[:1]
    assert _difference(native.decode(one_book), _decoded(module, one_book)) < TOLERANCE


@pytest.mark.parametrize("name", HARMONIC)
def test_predicted_pitch_is_that_of_torch(name: str) -> None:
    """The phase adds up how a pitch was rounded, on both sides: neither is far from the same network in double
    precision."""
    module, tensors = harmonic(HARMONIC[name], voiced=1.0)
    exact = copy.deepcopy(module).double()
    native = NativeCodec(module.config, tensors, _pool())
    for frames in (3, 30):
        codes = codes_of(module.config, frames)
        expected = _decoded(exact, codes)
        found = native.decode(codes)
        # The error grows with the length, from nothing.
        tolerance = TOLERANCE + 1e-6 * found.size
        assert _difference(found, expected) < tolerance
        assert _difference(found, _decoded(module, codes)) < tolerance


@pytest.mark.parametrize("kernels", variants())
@pytest.mark.parametrize("name", HARMONIC)
def test_codes_are_those_of_torch(name: str, kernels: str) -> None:
    module, tensors = harmonic(HARMONIC[name])
    config = module.config
    native = NativeCodec(config, tensors, _pool(2, kernels))
    hop = config.hop_length
    for length in (1, 2, hop - 1, hop, hop + 1, 9 * hop + 5, 60 * hop - 7):
        waveform = _waveform(length)
        codes = native.encode(waveform)
        expected = module.encode(torch.from_numpy(waveform)[None])[0].numpy()
        assert codes.shape == (config.n_codebooks, math.ceil(length / hop))
        # A frame that lies between two entries may go to either, and then so does what is left over of it.
        assert (codes == expected).all(0).mean() >= 1 - 1 / 50
        np.testing.assert_array_equal(native.encode(waveform, 1), codes[:1])


@pytest.mark.parametrize("kernels", variants())
def test_silence_has_the_codes_of_torch(kernels: str) -> None:
    module, tensors = harmonic(TINY_HARMONIC)
    native = NativeCodec(TINY_HARMONIC, tensors, _pool(2, kernels))
    for length in (1, 500):
        silence = np.zeros(length, dtype=np.float32)
        expected = module.encode(torch.from_numpy(silence)[None])[0].numpy()
        np.testing.assert_array_equal(native.encode(silence), expected)


def test_quiet_gains_give_silence_and_loud_ones_stay_finite() -> None:
    _, tensors = harmonic(TINY_HARMONIC, voiced=100.0)
    codes = codes_of(TINY_HARMONIC, 9)
    bias = tensors["decoder.filter_head.bias"]
    for value in (-200.0, 500.0):
        changed = tensors | {"decoder.filter_head.bias": np.full_like(bias, value)}
        found = NativeCodec(TINY_HARMONIC, changed, _pool()).decode(codes)
        assert np.isfinite(found).all()
        assert (np.abs(found).max() < 1e-9) == (value < 0)


def test_an_unvoiced_clip_has_the_same_noise_wherever_it_is_cut() -> None:
    _, tensors = harmonic(TINY_HARMONIC, voiced=-100.0)
    native = NativeCodec(TINY_HARMONIC, tensors, _pool())
    codes = codes_of(TINY_HARMONIC, 90)
    # The end of a clip changes nothing at its start: the noise belongs to the sample's number.
    start = 40 * TINY_HARMONIC.hop_length
    np.testing.assert_array_equal(
        native.decode(codes[:, :70])[:start], native.decode(codes)[:start]
    )


def test_threads_do_not_change_the_result() -> None:
    _, tensors = harmonic(TINY_HARMONIC, voiced=1.0)
    codes, waveform = codes_of(TINY_HARMONIC, 300), _waveform(300 * 48 - 5)
    one, five = (NativeCodec(TINY_HARMONIC, tensors, _pool(n)) for n in (1, 5))
    np.testing.assert_array_equal(five.decode(codes), one.decode(codes))
    np.testing.assert_array_equal(five.encode(waveform), one.encode(waveform))


def test_the_filters_are_those_of_torch() -> None:
    """One matrix gives the logarithm of the minimum-phase filter that torch finds by its cepstrum."""
    config = HarmonicCodecConfig()
    gains = np.random.default_rng(0).standard_normal((5, config.n_bands)).astype(np.float32)
    logarithms = gains @ spectra.minimum_phase_weights(config).T
    bins = config.n_fft // 2 + 1
    found = np.exp(logarithms[:, :bins] + 1j * logarithms[:, bins:])
    expected = minimum_phase(
        torch.from_numpy(gains).double() @ HarmonicCodec(config).decoder.spread.double()
    )
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda codes: codes[0], "give whole numbers"),
        (lambda codes: codes[:0], "1 to 4"),
        (lambda codes: np.concatenate([codes, codes]), "1 to 4"),
        (lambda codes: codes[:, :0], "no frames"),
        (lambda codes: codes + 19, "0 to 18"),
        (lambda codes: codes - 19, "0 to 18"),
    ],
)
def test_impossible_codes_are_refused(spoil: Any, problem: str) -> None:
    native = NativeCodec(TINY_HARMONIC, harmonic(TINY_HARMONIC)[1], _pool())
    with pytest.raises(InputError, match=problem):
        native.decode(spoil(codes_of(TINY_HARMONIC, 3)))


@pytest.mark.parametrize(
    "name", ["decoder.pitch_head.weight", "decoder.filters.1.scale", "decoder.filter_head.bias"]
)
def test_weights_that_disagree_with_the_config_are_refused(name: str) -> None:
    _, tensors = harmonic(TINY_HARMONIC)
    missing: Tensors = {key: value for key, value in tensors.items() if key != name}
    with pytest.raises(CheckpointCorruptError, match=rf"{name} is missing"):
        NativeCodec(TINY_HARMONIC, missing, _pool())
    with pytest.raises(CheckpointCorruptError, match=rf"{name} has shape"):
        NativeCodec(TINY_HARMONIC, tensors | {name: tensors[name][:1]}, _pool())


@pytest.mark.parametrize("direction", ["decoder", "encoder"])
def test_a_layout_of_another_length_is_an_error_and_no_crash(direction: str) -> None:
    """The library checks what the flat description claims."""
    _, tensors = harmonic(TINY_HARMONIC)
    build = getattr(codec_layout, f"harmonic_{direction}")
    for spoil in (
        lambda layout: layout.sizes.append(1),
        lambda layout: layout.sizes.pop(),
        lambda layout: layout.arrays.pop(),
        lambda layout: layout.arrays.append(layout.arrays[0]),
        lambda layout: layout.arrays.insert(0, layout.arrays[-1]),
    ):
        layout = build(TINY_HARMONIC, tensors)
        spoil(layout)
        with pytest.raises(InputError, match="codec"):
            _Network(_pool(), layout)


def test_filter_frames_that_do_not_fit_are_refused_by_the_library() -> None:
    _, tensors = harmonic(TINY_HARMONIC)
    layout = codec_layout.harmonic_decoder(TINY_HARMONIC, tensors)
    wide = replace(TINY_HARMONIC, n_fft=512)
    layout.sizes[layout.sizes.index(64)] = 16
    layout.arrays = [
        np.zeros(2 * 9 * 9, dtype=np.float32)
        if array.size == 2 * 33 * 9
        else (np.zeros(2 * 9, dtype=np.float32) if array.size == 2 * 33 else array)
        for array in layout.arrays
    ]
    with pytest.raises(InputError, match="do not fit"):
        _Network(_pool(), layout)
    assert NativeCodec(wide, tensors, _pool()).decode(codes_of(wide, 3)).size == 3 * 48
