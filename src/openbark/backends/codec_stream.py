"""Codecs block by block: what has to be kept of the past, what has to be known of the future.

A layer that sees a bounded stretch around each step gives the same result on a part of a sequence as on the
whole, if the part reaches far enough around what is wanted. That is all there is here; what has no bound (an
LSTM, statistics over a whole sequence) is its codec's business. Knows no weights.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import Backend, CodecStream, StreamingBackend
from openbark.config import CodecConfig, EncodecConfig, HarmonicCodecConfig, IstftCodecConfig
from openbark.errors import InputError
from openbark.types import Codes, Tokens, Waveform

Sequence = NDArray[Any]
"""[C, T], steps last."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Steps before and after its own that an output step depends on."""

    left: int
    right: int


WHOLE = Reach(sys.maxsize, sys.maxsize)
"""Of a network whose output depends on all of its input: nothing comes out before the end."""


class SlidingWindow:
    """A function of bounded reach, applied to a sequence that arrives in pieces.

    `apply` maps [C, n] to [C', n * rate]. The pieces that come out, put together, are `apply` of the whole.
    """

    def __init__(
        self, apply: Callable[[Sequence], Sequence], reach: Reach, rate: int = 1, least: int = 1
    ) -> None:
        """least: steps that the first part must have, for `apply` to know the start of the sequence as it is."""
        self._apply = apply
        self._reach = reach
        self._rate = rate
        self._least = least
        self._kept: Sequence | None = None
        self._n_dropped = 0
        self._n_done = 0

    def push(self, x: Sequence, last: bool = False) -> Sequence | None:
        """Add steps [C, n], the last ones of the sequence or not; the outputs [C', m * rate] that are now known,
        None where there are none."""
        kept = x if self._kept is None else np.concatenate([self._kept, x], axis=-1)
        total = self._n_dropped + kept.shape[-1]
        ready = total if last else total - self._reach.right
        starting = self._n_done == 0 and not last and total < self._least
        if starting or ready <= self._n_done:
            self._kept = kept
            return None
        begin = max(0, self._n_done - self._reach.left)
        y = self._apply(kept[..., begin - self._n_dropped :])
        known = y[..., (self._n_done - begin) * self._rate : (ready - begin) * self._rate]
        self._n_done = ready
        drop = max(0, ready - self._reach.left)
        self._kept = kept[..., drop - self._n_dropped :].copy()
        self._n_dropped = drop
        return known


def _stretch_of_codes(codes: Codes, n_codebooks: int | None) -> int:
    """Frames of a piece of codes [K, F]. Raises InputError for another shape, or another K than before."""
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise InputError(
            f"codec: the codes have shape {list(codes.shape)} and type {codes.dtype}; give whole numbers [K, F]"
        )
    if n_codebooks is not None and codes.shape[0] != n_codebooks:
        raise InputError(
            f"codec: the stream began with {n_codebooks} codebooks, this piece has {codes.shape[0]}"
        )
    return int(codes.shape[1])


class CheckedCodecStream(ABC):
    """A `CodecStream` that refuses codes of another shape than those before, and codes after `finish`."""

    def __init__(self, lookahead: int) -> None:
        self.lookahead = lookahead
        self._n_codebooks: int | None = None
        self._finished = False

    def push(self, codes: Tokens) -> Waveform:
        """Add codes [K, F]; the samples [L] that are now known. Raises InputError after `finish`."""
        if self._finished:
            raise InputError("codec: the stream is finished; open another for more codes")
        array = np.asarray(codes)
        if _stretch_of_codes(array, self._n_codebooks) == 0:
            return np.zeros(0, dtype=np.float32)
        known = self._advance(array, False)
        self._n_codebooks = array.shape[0]
        return known

    def finish(self) -> Waveform:
        """The last samples."""
        ended, self._finished = self._finished, True
        if ended or self._n_codebooks is None:
            return np.zeros(0, dtype=np.float32)
        return self._advance(np.zeros((self._n_codebooks, 0), dtype=np.int64), True)

    @abstractmethod
    def _advance(self, codes: Tokens, last: bool) -> Waveform:
        """The samples that are known with these codes; at the end, without codes, all others."""


class BoundedCodecStream(CheckedCodecStream):
    """A codec of bounded reach as a `CodecStream`: decodes windows of what arrived."""

    def __init__(self, decode: Callable[[Tokens], Waveform], reach: Reach, hop_length: int) -> None:
        """decode: codes [K, F] to a waveform [F * hop_length]."""
        super().__init__(reach.right)
        self._window = SlidingWindow(lambda codes: decode(codes)[None], reach, hop_length)

    def _advance(self, codes: Tokens, last: bool) -> Waveform:
        known = self._window.push(codes, last)
        return np.zeros(0, dtype=np.float32) if known is None else known[0].copy()


def istft_reach(config: IstftCodecConfig) -> Reach:
    """Frames that a frame's samples depend on: each convolution adds half a kernel, the overlapping
    inverse STFT the sub-frames whose windows reach in."""
    hop = config.stft_hop
    subframes = -(-(hop + config.n_fft) // (2 * hop)) - 1
    synthesis = -(-subframes // config.subframes)
    frames = (config.decoder_layers + 1) * (config.kernel_size // 2) + synthesis
    return Reach(frames, frames)


@dataclass(frozen=True, slots=True)
class HarmonicReach:
    """What a frame's samples depend on in the harmonic codec, besides the phase of its pulse train.

    Attributes:
        codes: frames of codes.
        pitch: frames on both sides that a frame's pitch depends on.
        sources: frames whose sources reach the frame's samples through the filters.
    """

    codes: Reach
    pitch: int
    sources: Reach


def harmonic_reach(config: HarmonicCodecConfig) -> HarmonicReach:
    """Filter frame s reads the sources from `hop // 2` samples before sample s * hop on, two hops of them, and
    writes `n_fft` samples from there on; a sample's pitch is interpolated between its frame and one neighbour."""
    hop, frame = config.filter_hop, config.hop_length
    half = config.kernel_size // 2
    network = (config.decoder_layers + 1) * half
    convolved = config.filter_layers * half
    # Filter frames before a frame's first one that reach its samples; after its last one it is the next.
    earlier = -(-(config.n_fft - hop // 2) // hop) - 1
    sources = Reach(-(-(earlier * hop + hop // 2) // frame), -(-(hop + hop // 2) // frame))
    left = max(-(-(earlier + convolved) // config.subframes), sources.left)
    right = max(-(-(1 + convolved) // config.subframes), sources.right + 1)
    return HarmonicReach(Reach(network + left, network + right), network, sources)


def encodec_reaches(config: EncodecConfig) -> tuple[Reach, Reach]:
    """Frames that a frame depends on in EnCodec's decoder: in the convolution before its LSTM, and in all
    that follows it. Causal configs see no frame to the right.
    """

    def before(after: Reach, kernel_size: int, dilation: int = 1) -> Reach:
        overlap = (kernel_size - 1) * dilation
        right = 0 if config.use_causal_conv else overlap // 2
        return Reach(after.left + overlap - right, after.right + right)

    far = before(Reach(0, 0), config.last_kernel_size)
    for ratio in reversed(config.upsampling_ratios):
        for level in reversed(range(config.num_residual_layers)):
            far = before(far, config.residual_kernel_size, config.dilation_growth_rate**level)
        # A kernel of two strides overhangs by one, of which this much is trimmed from the left.
        causal = math.ceil(ratio * config.trim_right_ratio)
        trimmed = ratio - (causal if config.use_causal_conv else ratio // 2)
        far = Reach(
            (far.left + 2 * ratio - 1 - trimmed) // ratio, -(-(far.right + trimmed) // ratio)
        )
    return before(Reach(0, 0), config.kernel_size), far


def codec_lookahead(config: CodecConfig) -> int:
    """Frames that must be known beyond a frame before its samples are."""
    if isinstance(config, IstftCodecConfig):
        return istft_reach(config).right
    if isinstance(config, HarmonicCodecConfig):
        return harmonic_reach(config).codes.right
    before, after = encodec_reaches(config)
    return before.right + after.right


def open_codec_stream(backend: Backend) -> CodecStream:
    """A stream of the backend's codec; one that decodes at `finish` where it cannot stream."""
    if isinstance(backend, StreamingBackend):
        return backend.codec_stream()
    hop_length = backend.config.codec.hop_length
    return BoundedCodecStream(backend.codec_decode, WHOLE, hop_length)
