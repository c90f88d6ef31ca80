"""The codecs in PyTorch block by block: equal to the whole, for the codec itself is used on parts of it.

EnCodec (arXiv 2210.13438) is causal but for its LSTM's memory of everything before: the LSTM carries its state
from block to block, the convolutions on both sides of it see bounded stretches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openbark.backends.base import CodecStream, Tokens
from openbark.backends.codec_stream import (
    WHOLE,
    BoundedCodecStream,
    SlidingWindow,
    encodec_reaches,
    istft_reach,
    stretch_of_codes,
)
from openbark.backends.torch.encodec import Encodec
from openbark.backends.torch.istft import IstftCodec
from openbark.backends.torch.seanet import ResidualLSTM
from openbark.errors import InputError

__all__ = ["EncodecStream", "codec_stream"]


def codec_stream(codec: Encodec | IstftCodec) -> CodecStream:
    """A stream of a codec. One that normalises over whole sequences gives everything at the end."""
    config = codec.config
    if isinstance(codec, IstftCodec):
        return BoundedCodecStream(_decoder(codec), istft_reach(codec.config), config.hop_length)
    if codec.config.norm_type == "time_group_norm":
        return BoundedCodecStream(_decoder(codec), WHOLE, config.hop_length)
    return EncodecStream(codec)


class EncodecStream:
    """EnCodec's decoder as a `backends.base.CodecStream`."""

    def __init__(self, codec: Encodec) -> None:
        layers = list(codec.decoder.layers)
        self._codec = codec
        self._lstm = cast(ResidualLSTM, layers[1]).lstm
        self._memory: tuple[Tensor, Tensor] | None = None
        self._n_codebooks: int | None = None
        self._finished = False
        before, after = encodec_reaches(codec.config)
        self.lookahead = before.right + after.right
        # Mirrored steps at the start come from the sequence, not from where a part of it happens to end.
        least = 2 * max(after.left, after.right) + 2
        self._before = SlidingWindow(self._applied(layers[:1]), before, least=before.left + 1)
        hop = codec.config.hop_length
        self._after = SlidingWindow(self._applied(layers[2:]), after, hop, least)

    @torch.inference_mode()
    def push(self, codes: Tokens) -> NDArray[np.float32]:
        """Add codes [K, F]; the samples [L] that are now known. Raises InputError after `finish`."""
        if self._finished:
            raise InputError("codec: the stream is finished; open another for more codes")
        if stretch_of_codes(codes, self._n_codebooks) == 0:
            return np.zeros(0, dtype=np.float32)
        self._n_codebooks = codes.shape[0]
        tokens = torch.tensor(codes)[None].to(next(self._codec.parameters()).device)
        return self._through(self._codec.quantizer.decode(tokens)[0].T.cpu().numpy(), False)

    @torch.inference_mode()
    def finish(self) -> NDArray[np.float32]:
        """The last samples."""
        if self._finished or self._n_codebooks is None:
            self._finished = True
            return np.zeros(0, dtype=np.float32)
        self._finished = True
        nothing = next(self._codec.parameters()).new_zeros(self._codec.config.hidden_size, 0)
        return self._through(nothing.cpu().numpy(), True)

    def _through(self, latent: NDArray[Any], last: bool) -> NDArray[np.float32]:
        x = self._before.push(latent, last)
        y = None
        if x is not None:
            y = self._after.push(self._remembering(x), last)
        elif last:
            width = self._lstm.hidden_size
            y = self._after.push(np.zeros((width, 0), dtype=latent.dtype), last)
        return np.zeros(0, dtype=np.float32) if y is None else y[0].astype(np.float32)

    def _remembering(self, x: NDArray[Any]) -> NDArray[Any]:
        """The residual LSTM on the next steps [C, n], from where it was."""
        steps = torch.from_numpy(x).to(next(self._codec.parameters())).T[:, None]
        output, self._memory = self._lstm(steps, self._memory)
        summed: NDArray[Any] = (output + steps)[:, 0].T.cpu().numpy()
        return summed

    def _applied(self, layers: Sequence[nn.Module]) -> Callable[[NDArray[Any]], NDArray[Any]]:
        def apply(x: NDArray[Any]) -> NDArray[Any]:
            y = torch.from_numpy(x)[None].to(next(self._codec.parameters()))
            for layer in layers:
                y = layer(y)
            found: NDArray[Any] = y[0].cpu().numpy()
            return found

        return apply


def _decoder(codec: Encodec | IstftCodec) -> Callable[[Tokens], NDArray[np.float32]]:
    @torch.inference_mode()
    def decode(codes: Tokens) -> NDArray[np.float32]:
        tokens = torch.tensor(codes)[None].to(next(codec.parameters()).device)
        waveform: NDArray[np.float32] = codec.decode(tokens)[0].float().cpu().numpy()
        return waveform

    return decode
