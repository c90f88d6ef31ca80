"""The codecs of the compiled engine: EnCodec, the iSTFT codec, the harmonic codec and the semantic encoder.

The numpy twins of `openbark.backends.torch.encodec.Encodec`, `.istft.IstftCodec`, `.harmonic.HarmonicCodec` and
`.semantic_encoder.SemanticEncoder`, one sequence per call and always float32. The arithmetic is in
`src/codec*.cpp`; here inputs are checked and memory is handed over. Knows no stages and no files.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.backends.base import CodecStream
from openbark.backends.codec_stream import (
    WHOLE,
    BoundedCodecStream,
    CheckedCodecStream,
    codec_lookahead,
    istft_reach,
)
from openbark.backends.native import codec_layout
from openbark.backends.native.capi import CodecHandle, CodecStreamHandle
from openbark.backends.native.codec_layout import Layout, Tensors
from openbark.backends.native.library import Pool
from openbark.config import (
    CodecConfig,
    EncodecConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
)
from openbark.errors import AudioError, InputError
from openbark.forks import ForkSafeLock
from openbark.types import Codes, Tokens, Waveform


class _Network:
    """One direction of a codec inside the library, destroyed with this object."""

    def __init__(self, pool: Pool, layout: Layout) -> None:
        self._pool = pool
        # The library reads codebooks where they are; they live as long as this object.
        self._tables = layout.tables
        sizes = np.array(layout.sizes, dtype=np.int32)
        lengths = np.array([array.size for array in layout.arrays], dtype=np.int64)
        pointers = (ctypes.c_void_p * len(layout.arrays))(
            *(array.ctypes.data for array in layout.arrays)
        )
        handle = CodecHandle()
        pool.call(
            "ob_codec_create",
            pool.handle,
            layout.kind,
            sizes,
            sizes.size,
            pointers,
            lengths,
            lengths.size,
            ctypes.byref(handle),
        )
        self._handle = handle
        weakref.finalize(self, pool.library.ob_codec_destroy, handle)

    def decode(self, codes: NDArray[np.int32], hop_length: int) -> Waveform:
        """Waveform [F * hop_length] of codes [K, F], contiguous."""
        count, frames = codes.shape
        waveform = np.empty(frames * hop_length, dtype=np.float32)
        self._pool.call(
            "ob_codec_decode",
            self._handle,
            self._pool.handle,
            codes,
            count,
            frames,
            waveform,
        )
        return waveform

    def stream(self) -> CodecStreamHandle:
        """A decoder in the middle of a sequence; the caller destroys it before this object goes."""
        handle = CodecStreamHandle()
        self._pool.call("ob_codec_stream_create", self._handle, ctypes.byref(handle))
        return handle

    def encode(self, waveform: Waveform, hop_length: int, count: int) -> Tokens:
        """Codes [K, ceil(L / hop_length)] of a contiguous waveform [L]."""
        frames = -(-waveform.size // hop_length)
        codes = np.empty((count, frames), dtype=np.int32)
        self._pool.call(
            "ob_codec_encode",
            self._handle,
            self._pool.handle,
            waveform,
            waveform.size,
            count,
            codes,
        )
        return codes.astype(np.int64)


class NativeCodecStream(CheckedCodecStream):
    """A decoder with a memory inside the library as a `backends.base.CodecStream`."""

    def __init__(self, config: CodecConfig, pool: Pool, network: _Network, lookahead: int) -> None:
        super().__init__(lookahead)
        self._config = config
        self._pool = pool
        # Destroyed before the network that it reads: this object holds both.
        self._network = network
        self._handle = network.stream()
        self._n_held = 0
        weakref.finalize(self, _destroy_stream, pool, network, self._handle)

    def _advance(self, codes: Codes, last: bool) -> Waveform:
        if last:
            codes = codes.astype(np.int32)
        else:
            codes = _checked_codes(codes, self._config.n_codebooks, self._config.codebook_size)
        self._n_held += codes.shape[1]
        waveform = np.empty(self._n_held * self._config.hop_length, dtype=np.float32)
        n_frames = ctypes.c_int()
        self._pool.call(
            "ob_codec_stream_push",
            self._handle,
            self._pool.handle,
            codes,
            codes.shape[0],
            codes.shape[1],
            last,
            waveform,
            ctypes.byref(n_frames),
        )
        self._n_held -= n_frames.value
        return waveform[: n_frames.value * self._config.hop_length].copy()


def _destroy_stream(pool: Pool, network: _Network, handle: CodecStreamHandle) -> None:
    """The network is held until here, so that it outlives what reads it."""
    pool.library.ob_codec_stream_destroy(handle)


def _checked_waveform(waveform: NDArray[np.floating]) -> Waveform:
    array = np.asarray(waveform)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"codec: the waveform has shape {list(array.shape)} and type {array.dtype}; give one "
            "channel [L] of floats in [-1, 1]"
        )
    if array.size == 0:
        raise AudioError("codec: the waveform is empty; give at least one sample")
    return np.ascontiguousarray(array, dtype=np.float32)


def _check_count(count: int, n_codebooks: int) -> None:
    if not 1 <= count <= n_codebooks:
        raise InputError(
            f"codec: {count} codebooks asked for or given, allowed are 1 to {n_codebooks}; "
            "slice the codes or change n_codebooks"
        )


def _checked_codes(codes: Codes, n_codebooks: int, codebook_size: int) -> NDArray[np.int32]:
    array = np.asarray(codes)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"codec: the codes have shape {list(array.shape)} and type {array.dtype}; "
            "give whole numbers [K, F]"
        )
    _check_count(array.shape[0], n_codebooks)
    if array.shape[1] == 0:
        raise InputError("codec: there are no frames to decode")
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest >= codebook_size:
        raise InputError(
            f"codec: the codes reach from {lowest} to {highest}; allowed are 0 to {codebook_size - 1}"
        )
    return np.ascontiguousarray(array, dtype=np.int32)


_DECODERS: Mapping[type, Callable[[Any, Tensors], Layout]] = MappingProxyType(
    {
        EncodecConfig: codec_layout.encodec_decoder,
        IstftCodecConfig: codec_layout.istft_decoder,
        HarmonicCodecConfig: codec_layout.harmonic_decoder,
    }
)
_ENCODERS: Mapping[type, Callable[[Any, Tensors], Layout]] = MappingProxyType(
    {
        EncodecConfig: codec_layout.encodec_encoder,
        IstftCodecConfig: codec_layout.istft_encoder,
        HarmonicCodecConfig: codec_layout.harmonic_encoder,
    }
)


class NativeCodec:
    """A codec of any kind; weights as `Checkpoint.part("codec_model.")` gives them, read when needed.

    Both directions are built when they are first needed: speaking needs no encoder, and until the last stage no decoder,
    whose weights and memory are a large part of a small model's.
    """

    def __init__(self, config: CodecConfig, tensors: Tensors, pool: Pool) -> None:
        """Raises CheckpointUnsupportedError for what the engine cannot run."""
        self.config = config
        self._pool = pool
        self._tensors = tensors
        self._networks: dict[str, _Network] = {}
        self._lock = ForkSafeLock()
        if isinstance(config, EncodecConfig):
            codec_layout.check_encodec(config)
        else:
            # A small network: the first clip need not wait for it.
            self._network("decoder")

    def _network(self, direction: str) -> _Network:
        with self._lock:
            if direction not in self._networks:
                layouts = _DECODERS if direction == "decoder" else _ENCODERS
                self._networks[direction] = _Network(
                    self._pool, layouts[type(self.config)](self.config, self._tensors)
                )
                # The arrays it was laid out in are free again: 26 MB of EnCodec that malloc would keep.
                self._pool.library.ob_memory_trim()
            return self._networks[direction]

    def decode(self, codes: Codes) -> Waveform:
        """Waveform [F * hop_length] of codes [K, F], 1 <= K <= n_codebooks. Raises InputError."""
        config = self.config
        checked = _checked_codes(codes, config.n_codebooks, config.codebook_size)
        return self._network("decoder").decode(checked, config.hop_length)

    def encode(self, waveform: NDArray[np.floating], n_codebooks: int | None = None) -> Tokens:
        """Codes [K, ceil(L / hop_length)] of a waveform [L] with the first `n_codebooks` (all).

        Raises AudioError for an empty or misshapen waveform, InputError for an impossible count.
        """
        count = self.config.n_codebooks if n_codebooks is None else n_codebooks
        _check_count(count, self.config.n_codebooks)
        samples = _checked_waveform(waveform)
        return self._network("encoder").encode(samples, self.config.hop_length, count)

    def stream(self) -> CodecStream:
        """A stream of the decoder; one that normalises over whole sequences gives everything at the end."""
        config = self.config
        if isinstance(config, IstftCodecConfig):
            return BoundedCodecStream(self.decode, istft_reach(config), config.hop_length)
        if isinstance(config, EncodecConfig) and config.norm_type == "time_group_norm":
            return BoundedCodecStream(self.decode, WHOLE, config.hop_length)
        lookahead = codec_lookahead(config)
        return NativeCodecStream(config, self._pool, self._network("decoder"), lookahead)


class NativeSemanticEncoder:
    """Waveform to semantic tokens; weights as `Checkpoint.tensors("semantic_encoder.")` gives them."""

    def __init__(self, config: SemanticEncoderConfig, tensors: Tensors, pool: Pool) -> None:
        self.config = config
        self._network = _Network(pool, codec_layout.semantic_encoder(config, tensors))

    def encode(self, waveform: NDArray[np.floating]) -> Tokens:
        """Most likely semantic tokens [ceil(L / hop_length)] of a waveform [L] in [-1, 1].

        Raises AudioError for an empty or misshapen waveform.
        """
        samples = _checked_waveform(waveform)
        tokens: Tokens = self._network.encode(samples, self.config.hop_length, 1)[0]
        return tokens
