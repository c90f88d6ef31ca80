"""Codecs block by block: however the codes are cut, the pieces are the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from codec_cases import ENCODEC, HARMONIC, ISTFT, codes_of, encodec, harmonic, istft
from hypothesis import given, settings
from hypothesis import strategies as st
from native_engine import needs_engine

from openbark.api import Bark
from openbark.backends.base import Backend, CodecStream, StreamingBackend
from openbark.backends.codec_stream import (
    WHOLE,
    BoundedCodecStream,
    Reach,
    SlidingWindow,
    codec_lookahead,
    encodec_reaches,
    harmonic_reach,
    open_codec_stream,
)
from openbark.backends.native.codec import NativeCodec
from openbark.backends.native.library import Pool
from openbark.backends.torch.codec_streams import codec_stream
from openbark.config import EncodecConfig, HarmonicCodecConfig
from openbark.errors import InputError

TOLERANCE = 1e-5
"""Of the loudest sample: matrix kernels add up in another order on shorter sequences."""
TOLERANCES = {"harmonic": 1e-4}
"""The harmonic codec's phase adds up how differently the pitch was rounded (in double precision, and in the compiled
engine, nothing is left: `test_harmonic.py`, and bit for bit below)."""

Codec = tuple[Callable[[], CodecStream], Callable[[np.ndarray], np.ndarray], Any]
CASES = [
    *(("encodec", name) for name in ENCODEC),
    *(("istft", name) for name in ISTFT),
    *(("harmonic", name) for name in HARMONIC),
]
BACKENDS = ["torch", pytest.param("native", marks=needs_engine)]


def module_of(kind: str, name: str) -> Any:
    """A module and its tensors."""
    if kind == "harmonic":
        return harmonic(HARMONIC[name], voiced=1.0)
    return encodec(ENCODEC[name]) if kind == "encodec" else istft(ISTFT[name])


def codec_of(kind: str, name: str, backend: str) -> Codec:
    """How to open a stream, how to decode a whole, and the sizes."""
    import torch

    module, tensors = module_of(kind, name)
    if backend == "torch":

        def whole(codes: np.ndarray) -> np.ndarray:
            return module.decode(torch.from_numpy(codes)[None])[0].numpy()

        return lambda: codec_stream(module), whole, module.config
    pool = Pool(2)
    codec = NativeCodec(module.config, tensors, pool)
    return codec.stream, codec.decode, module.config


def streamed(stream: CodecStream, codes: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """What comes out for blocks of `sizes` frames (the last one repeats), and at the end."""
    pieces, position, turn = [], 0, 0
    while position < codes.shape[1]:
        size = sizes[min(turn, len(sizes) - 1)]
        pieces.append(stream.push(codes[:, position : position + size]))
        position, turn = position + size, turn + 1
    return [*pieces, stream.finish()]


def assert_whole(pieces: list[np.ndarray], expected: np.ndarray, kind: str = "") -> None:
    found = np.concatenate(pieces)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    tolerance = TOLERANCES.get(kind, TOLERANCE) * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_N1_pieces_are_the_whole(kind: str, name: str, backend: str) -> None:
    opened, whole, config = codec_of(kind, name, backend)
    for frames, sizes in (
        (1, [1]),
        (3, [2]),
        (40, [1]),
        (75, [13, 1, 30, 5]),
        (90, [90]),
        (60, [7]),
    ):
        codes = codes_of(config, frames)
        assert_whole(streamed(opened(), codes, sizes), whole(codes), kind)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("kind", "name"),
    [("encodec", "tiny"), ("encodec", "not causal"), ("istft", "tiny"), ("harmonic", "tiny")],
)
def test_no_cut_changes_the_result(kind: str, name: str, backend: str) -> None:
    opened, whole, config = codec_of(kind, name, backend)
    codes = codes_of(config, 70)
    expected = whole(codes)

    @settings(max_examples=20)
    @given(st.lists(st.integers(1, 25), min_size=1, max_size=12))
    def any_sizes(sizes: list[int]) -> None:
        assert_whole(streamed(opened(), codes, sizes), expected, kind)

    any_sizes()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_samples_come_out_as_soon_as_they_are_known(kind: str, name: str, backend: str) -> None:
    opened, _, config = codec_of(kind, name, backend)
    stream = opened()
    codes = codes_of(config, 150)
    pushed = out = 0
    start = None
    for frame in range(150):
        found = len(stream.push(codes[:, frame : frame + 1])) // config.hop_length
        pushed, out = pushed + 1, out + found
        assert out <= max(0, pushed - stream.lookahead)
        if found and start is None:
            start = pushed
        if start is not None:
            assert out == pushed - stream.lookahead
    if kind == "encodec" and ENCODEC[name].norm_type == "time_group_norm":
        assert start is None
    else:
        assert start is not None


def test_the_published_encodec_waits_for_seven_frames_and_never_again() -> None:
    config = EncodecConfig()
    before, after = encodec_reaches(config)
    assert (before, after) == (Reach(6, 0), Reach(2, 0))
    module, _ = encodec(config)
    stream = codec_stream(module)
    assert stream.lookahead == 0
    codes = codes_of(config, 9)[:8]
    assert [len(stream.push(codes[:, i : i + 1])) // 320 for i in range(9)] == [0] * 6 + [7, 1, 1]


def test_a_frame_of_the_harmonic_codec_sees_as_far_as_harmonic_reach_says() -> None:
    """Where the network's convolutions reach, and the filters; the phase, a sum, reaches from the start."""
    reach = harmonic_reach(HarmonicCodecConfig())
    assert (reach.codes, reach.pitch, reach.sources) == (Reach(24, 23), 21, Reach(1, 1))
    for name, config in HARMONIC.items():
        module, _ = harmonic(config, -100.0)
        reach = harmonic_reach(config)
        assert codec_lookahead(config) == reach.codes.right
        codes = codes_of(config, reach.codes.left + 5 + reach.codes.right)
        frame, hop = reach.codes.left + 2, config.hop_length
        expected = _decoded(module, codes)[frame * hop : (frame + 1) * hop]
        for changed in (frame - reach.codes.left - 1, frame + reach.codes.right + 1):
            other = codes.copy()
            other[:, changed] = (other[:, changed] + 1) % config.codebook_size
            found = _decoded(module, other)[frame * hop : (frame + 1) * hop]
            assert np.array_equal(found, expected), (name, changed)


def _decoded(module: Any, codes: np.ndarray) -> np.ndarray:
    import torch

    waveform: np.ndarray = module.decode(torch.from_numpy(codes)[None])[0].numpy()
    return waveform


@needs_engine
@pytest.mark.parametrize("name", HARMONIC)
def test_the_harmonic_stream_is_the_whole_bit_for_bit(name: str) -> None:
    opened, whole, config = codec_of("harmonic", name, "native")
    for frames, sizes in ((1, [1]), (40, [1]), (75, [13, 1, 30, 5]), (61, [30])):
        codes = codes_of(config, frames)
        found = np.concatenate(streamed(opened(), codes, sizes))
        assert np.array_equal(found, whole(codes))


@needs_engine
def test_the_published_encodec_native() -> None:
    opened, whole, config = codec_of_published()
    codes = codes_of(config, 40)[:8]
    assert_whole(streamed(opened(), codes, [8, 3, 20]), whole(codes))


def codec_of_published() -> Codec:
    config = EncodecConfig()
    _, tensors = encodec(config)
    codec = NativeCodec(config, tensors, Pool(2))
    return codec.stream, codec.decode, config


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("kind", "name"), [("encodec", "tiny"), ("istft", "tiny"), ("harmonic", "tiny")]
)
def test_streams_do_not_touch_each_other(kind: str, name: str, backend: str) -> None:
    opened, whole, config = codec_of(kind, name, backend)
    first, second = codes_of(config, 50), codes_of(config, 60)[:2]
    one, two = opened(), opened()
    pieces: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for start in range(0, 60, 10):
        if start < 50:
            pieces[0].append(one.push(first[:, start : start + 10]))
        pieces[1].append(two.push(second[:, start : start + 10]))
    pieces[0].append(one.finish())
    pieces[1].append(two.finish())
    assert_whole(pieces[0], whole(first), kind)
    assert_whole(pieces[1], whole(second), kind)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("kind", "name"), [("encodec", "tiny"), ("istft", "tiny"), ("harmonic", "tiny")]
)
def test_wrong_codes_are_typed_errors(kind: str, name: str, backend: str) -> None:
    opened, _, config = codec_of(kind, name, backend)
    stream = opened()
    codes = codes_of(config, 20)
    assert len(stream.push(codes[:, :0])) == 0
    stream.push(codes)
    with pytest.raises(InputError, match="began with"):
        stream.push(codes[:1])
    with pytest.raises(InputError, match="whole numbers"):
        stream.push(codes[0])
    stream.finish()
    assert len(stream.finish()) == 0
    with pytest.raises(InputError, match="finished"):
        stream.push(codes)
    assert len(opened().finish()) == 0


@needs_engine
@pytest.mark.parametrize("kind", ["encodec", "istft", "harmonic"])
def test_codes_a_native_codec_has_not_are_refused(kind: str) -> None:
    opened, _, config = codec_of(kind, "tiny", "native")
    with pytest.raises(InputError, match="allowed are 0 to 18"):
        stream = opened()
        stream.push(codes_of(config, 60) + 1)
        stream.push(codes_of(config, 60) + config.codebook_size)


def test_a_backend_that_cannot_stream_gives_all_at_the_end(tiny_backend: Backend) -> None:
    class Plain:
        """Only what `Backend` asks for."""

        config = tiny_backend.config
        codec_decode = staticmethod(tiny_backend.codec_decode)

    codes = np.random.default_rng(0).integers(0, 32, (8, 30))
    stream = open_codec_stream(Plain())  # type: ignore[arg-type]
    assert len(stream.push(codes[:, :20])) == len(stream.push(codes[:, 20:])) == 0
    assert np.array_equal(stream.finish(), tiny_backend.codec_decode(codes))
    assert stream.lookahead == WHOLE.right


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_backends_stream_the_embedded_model(backend: str) -> None:
    bark = Bark.load(backend=backend, threads=1)
    assert isinstance(bark.backend, StreamingBackend)
    codes = np.random.default_rng(0).integers(0, 1024, (8, 80))
    stream = open_codec_stream(bark.backend)
    assert stream.lookahead == 22
    assert_whole(streamed(stream, codes, [25]), bark.backend.codec_decode(codes))


def test_a_sliding_window_keeps_only_what_it_can_see() -> None:
    def smooth(x: np.ndarray) -> np.ndarray:
        return np.stack([np.convolve(np.pad(row, 2), np.ones(5), "valid") for row in x])

    window = SlidingWindow(smooth, Reach(2, 2))
    signal = np.random.default_rng(0).standard_normal((3, 500))
    parts = [window.push(signal[:, i : i + 10]) for i in range(0, 500, 10)]
    assert window._kept is not None
    assert window._kept.shape[-1] <= 16
    parts.append(window.push(signal[:, :0], last=True))
    found = np.concatenate([part for part in parts if part is not None], axis=-1)
    np.testing.assert_allclose(found, smooth(signal), atol=1e-12)


def test_a_bounded_stream_of_a_plain_function() -> None:
    stream = BoundedCodecStream(
        lambda codes: np.repeat(codes[0], 3).astype(np.float32), Reach(1, 1), 3
    )
    codes = np.arange(10)[None]
    found = np.concatenate([stream.push(codes[:, :4]), stream.push(codes[:, 4:]), stream.finish()])
    assert found.tolist() == np.repeat(np.arange(10), 3).tolist()
