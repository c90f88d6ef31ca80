"""The codecs in PyTorch block by block: equal to the whole, for the codec itself is used on parts of it.

The iSTFT codec sees a bounded stretch of codes. The harmonic codec does too, but for the phase of its pulse train,
which is the sum of the pitch from the first sample on. EnCodec (arXiv 2210.13438) is causal but for its LSTM's memory
of everything before: the LSTM carries its state from block to block, the convolutions on both sides of it see bounded
stretches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openbark.backends.base import CodecStream
from openbark.backends.codec_stream import (
    WHOLE,
    BoundedCodecStream,
    CheckedCodecStream,
    SlidingWindow,
    encodec_reaches,
    harmonic_reach,
    istft_reach,
)
from openbark.backends.torch.codecs import TorchCodec
from openbark.backends.torch.encodec import Encodec
from openbark.backends.torch.harmonic import (
    Controls,
    HarmonicCodec,
    between_frames,
    pitch_at_samples,
    pulses_at,
    white_noise,
)
from openbark.backends.torch.istft import IstftCodec
from openbark.backends.torch.seanet import ResidualLSTM
from openbark.types import Tokens, Waveform


def codec_stream(codec: TorchCodec) -> CodecStream:
    """A stream of a codec. One that normalises over whole sequences gives everything at the end."""
    config = codec.config
    if isinstance(codec, IstftCodec):
        return BoundedCodecStream(_decoder(codec), istft_reach(codec.config), config.hop_length)
    if isinstance(codec, HarmonicCodec):
        return HarmonicStream(codec)
    if codec.config.norm_type == "time_group_norm":
        return BoundedCodecStream(_decoder(codec), WHOLE, config.hop_length)
    return EncodecStream(codec)


class EncodecStream(CheckedCodecStream):
    """EnCodec's decoder as a `backends.base.CodecStream`."""

    def __init__(self, codec: Encodec) -> None:
        layers = list(codec.decoder.layers)
        self._codec = codec
        self._lstm = cast(ResidualLSTM, layers[1]).lstm
        self._memory: tuple[Tensor, Tensor] | None = None
        before, after = encodec_reaches(codec.config)
        super().__init__(before.right + after.right)
        # Mirrored steps at the start come from the sequence, not from where a part of it happens to end.
        least = 2 * max(after.left, after.right) + 2
        self._before = SlidingWindow(self._applied(layers[:1]), before, least=before.left + 1)
        hop = codec.config.hop_length
        self._after = SlidingWindow(self._applied(layers[2:]), after, hop, least)

    @torch.inference_mode()
    def _advance(self, codes: Tokens, last: bool) -> Waveform:
        tokens = torch.tensor(codes)[None].to(next(self._codec.parameters()).device)
        latent = self._codec.quantizer.decode(tokens)[0].T.cpu().numpy()
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


class HarmonicStream(CheckedCodecStream):
    """The harmonic codec's decoder as a `backends.base.CodecStream`.

    The controls of a stretch of frames are computed with all codes that they depend on. The pulse train is made once
    for every sample, from pitches that no later code changes, so its phase is that of the whole clip.
    """

    def __init__(self, codec: HarmonicCodec) -> None:
        self._codec = codec
        self._reach = harmonic_reach(codec.config)
        super().__init__(self._reach.codes.right)
        device = next(codec.parameters()).device
        self._codes: Tensor | None = None
        self._first_code = 0
        self._pulses = torch.zeros(1, 0, device=device)
        self._first_pulse = self._n_pulsed = self._n_done = 0
        # Hz, summed over all samples that have pulses.
        self._sum = torch.zeros(1, 1, dtype=torch.float64, device=device)

    @torch.inference_mode()
    def _advance(self, codes: Tokens, last: bool) -> Waveform:
        added = torch.tensor(codes).to(self._pulses.device)
        self._codes = added if self._codes is None else torch.cat([self._codes, added], 1)
        return self._decoded(self._codes, last)

    def _decoded(self, codes: Tensor, last: bool) -> Waveform:
        reach, done = self._reach, self._n_done
        total = self._first_code + codes.shape[1]
        ready = total if last else total - reach.codes.right
        if ready <= done:
            return np.zeros(0, dtype=np.float32)
        begin = max(0, done - reach.codes.left)
        window = codes[:, begin - self._first_code :]
        codec = self._codec
        controls = codec.decoder.controls(codec.quantizer.decode(window[None]))
        self._add_pulses(controls, begin, total if last else total - reach.pitch - 1)
        waveform = self._synthesised(controls, begin, ready, total)
        self._n_done = ready
        kept = max(0, ready - reach.codes.left)
        self._codes, self._first_code = codes[:, kept - self._first_code :], kept
        kept = max(0, ready - reach.sources.left)
        hop = codec.config.hop_length
        self._pulses = self._pulses[:, (kept - self._first_pulse) * hop :]
        self._first_pulse = kept
        return waveform

    def _add_pulses(self, controls: Controls, begin: int, end: int) -> None:
        """Append the pulses of all frames before `end`; `controls` are of the frames from `begin` on."""
        hop, rate = self._codec.config.hop_length, self._codec.config.sampling_rate
        first = max(0, self._n_pulsed - 1)
        frames = slice(first - begin, end + 1 - begin)
        samples = slice((self._n_pulsed - first) * hop, (end - first) * hop)
        f0 = pitch_at_samples(controls.log_f0[:, frames], hop)[:, samples]
        voiced = (controls.voicing[:, frames] > 0).double()
        gate = between_frames(voiced, hop)[:, samples] > 0.5
        sums = torch.cumsum(torch.cat([self._sum, f0], 1), 1)
        pulses = pulses_at(sums[:, 1:] * (2.0 * math.pi / rate), f0, gate, rate)
        self._pulses = torch.cat([self._pulses, pulses], 1)
        self._sum, self._n_pulsed = sums[:, -1:], end

    def _synthesised(self, controls: Controls, begin: int, ready: int, total: int) -> Waveform:
        """Samples of the frames up to `ready` that have not come out yet."""
        config, reach = self._codec.config, self._reach
        hop, subframes = config.hop_length, config.subframes
        first = max(0, self._n_done - reach.sources.left)
        end = min(total, ready + reach.sources.right)
        filters = slice((first - begin) * subframes, (end - begin) * subframes)
        part = replace(
            controls, harmonic=controls.harmonic[:, filters], noise=controls.noise[:, filters]
        )
        pulses = self._pulses[:, : (end - self._first_pulse) * hop]
        pulses = pulses[:, (first - self._first_pulse) * hop :]
        noise = white_noise(first * hop, pulses.shape[1]).to(pulses.device)[None]
        waveform = self._codec.decoder.synthesise(part, pulses, noise)[0]
        known = waveform[(self._n_done - first) * hop : (ready - first) * hop]
        samples: Waveform = known.float().cpu().numpy()
        return samples


def _decoder(codec: Encodec | IstftCodec) -> Callable[[Tokens], Waveform]:
    @torch.inference_mode()
    def decode(codes: Tokens) -> Waveform:
        tokens = torch.tensor(codes)[None].to(next(codec.parameters()).device)
        waveform: Waveform = codec.decode(tokens)[0].float().cpu().numpy()
        return waveform

    return decode
