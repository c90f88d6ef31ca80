"""Puts the watermark into speech: each band becomes a little louder, then softer, within each slot, or the reverse.

The change is one full sine of 1.5 dB per slot of 40 ms, so the level stays as it is, and silence stays silence.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from openbark.audio.samples import check_rate, check_waveform
from openbark.errors import AudioError, ParamError
from openbark.types import Waveform
from openbark.watermark.pattern import (
    N_BANDS,
    N_SLOTS,
    RATE,
    SLOT_SECONDS,
    band_of_bins,
    pattern_of,
    watermark_key,
)
from openbark.watermark.payload import Payload

DEPTH_DB = 1.5
_MAX_DEPTH_DB = 6.0
_HOP = 128
_OVERLAP = 4
_FRAMES_AT_ONCE = 256


class Marker:
    """Marks a stream: `push` blocks of any length, then `finish`; together they are `embed_watermark` of the whole,
    bit for bit. At most 512 samples at 24 kHz (21 ms) are held back."""

    def __init__(
        self,
        sample_rate: int,
        payload: Payload | None = None,
        key: str | None = None,
        depth: float = DEPTH_DB,
    ) -> None:
        """key: None takes that of the environment. Raises ParamError for a depth outside 0 to 6 dB, AudioError for
        a rate that is not one."""
        if not 0.0 < depth <= _MAX_DEPTH_DB:
            raise ParamError(
                f"the depth is {depth} dB; allowed: more than 0, at most {_MAX_DEPTH_DB:g}"
            )
        check_rate("sample_rate", sample_rate)
        self._rate = sample_rate
        self._depth = depth
        # A window of about the same time at every rate.
        self._hop = max(1, round(_HOP * sample_rate / RATE))
        self._size = _OVERLAP * self._hop
        pattern = pattern_of(watermark_key() if key is None else key)
        chips = pattern.chips((payload or Payload()).coded())
        band = band_of_bins(self._size, sample_rate)
        # A last column of zeros: bins of no band are left as they are.
        signs = np.concatenate([chips, np.zeros((N_SLOTS, 1))], axis=1)
        self._signs = signs[:, np.minimum(band, N_BANDS)].astype(np.float32)
        hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(self._size) / self._size)
        self._window = hann.astype(np.float32)
        self._synthesis = (hann / (_OVERLAP * 0.375)).astype(np.float32)
        self._held = np.zeros((_OVERLAP - 1) * self._hop, np.float32)
        self._frames = np.zeros((_OVERLAP - 1, self._size), np.float32)
        self._n_frames = 0
        self._n_in = 0
        self._n_out = 0
        self._finished = False

    def push(self, block: Waveform) -> Waveform:
        """Add samples [L]; those that are ready. Raises AudioError for what is no waveform, and after `finish`."""
        if self._finished:
            raise AudioError("the marked audio is finished; take another Marker for more")
        samples = check_waveform(block, self._rate)
        self._n_in += len(samples)
        return self._advance(samples)

    def finish(self) -> Waveform:
        """The last samples."""
        if self._finished:
            return np.zeros(0, np.float32)
        self._finished = True
        n_left = self._n_in - self._n_out
        if n_left == 0:
            return np.zeros(0, np.float32)
        return self._advance(np.zeros(self._size + self._hop, np.float32))[:n_left]

    def _advance(self, samples: Waveform) -> Waveform:
        self._held = np.concatenate([self._held, samples])
        n_new = max(0, (len(self._held) - self._size) // self._hop + 1)
        parts = []
        for first in range(0, n_new, _FRAMES_AT_ONCE):
            count = min(_FRAMES_AT_ONCE, n_new - first)
            parts.append(self._marked(first * self._hop, count))
        # What a frame to come still reads, and the input of output that is not whole yet.
        self._held = self._held[n_new * self._hop :]
        out = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        self._n_out += len(out)
        return out

    def _marked(self, start: int, count: int) -> Waveform:
        """Output of `count` more frames, the first of which starts at `start` of what is held."""
        hop, size = self._hop, self._size
        span = self._held[start : start + (count - 1) * hop + size]
        windows = np.lib.stride_tricks.sliding_window_view(span, size)[::hop]
        spectra = np.fft.rfft(windows * self._window, axis=1)
        spectra *= self._gains(count)
        fresh = np.fft.irfft(spectra, size, axis=1).astype(np.float32) * self._synthesis
        frames = np.concatenate([self._frames, fresh]).reshape(-1, _OVERLAP, hop)
        self._frames = frames[-(_OVERLAP - 1) :].reshape(_OVERLAP - 1, size)
        # Always in the same order, so that blocks of any length give the same sums.
        total = frames[:count, 3] + frames[1 : count + 1, 2]
        total += frames[2 : count + 2, 1]
        total += frames[3 : count + 3, 0]
        first, self._n_frames = self._n_frames, self._n_frames + count
        # The first three frames complete what lies before the first sample.
        skipped = max(0, _OVERLAP - 1 - first)
        source = span[: count * hop].reshape(count, hop)
        peak = np.maximum(np.abs(source), np.float32(1.0))
        # The mark alone never drives a sample beyond full scale.
        marked: NDArray[np.float32] = np.clip(total, -peak, peak)
        out: NDArray[np.float32] = marked[skipped:].reshape(-1)
        return out

    def _gains(self, count: int) -> NDArray[np.float32]:
        """Gains [count, bins] of the frames that come next."""
        levels, slots = [], []
        for frame in range(self._n_frames, self._n_frames + count):
            # The middle of the frame; frame 3 starts at the first sample.
            seconds = (frame - (_OVERLAP - 1) + _OVERLAP / 2) * self._hop / self._rate
            slot = math.floor(seconds / SLOT_SECONDS)
            phase = seconds / SLOT_SECONDS - slot
            levels.append(self._depth * math.sin(2.0 * math.pi * phase) * math.log(10.0) / 20.0)
            slots.append(slot % N_SLOTS)
        signs = self._signs[slots]
        level = np.array(levels, np.float32)[:, None]
        up, down = (np.array([[math.exp(s * v)] for v in levels], np.float32) for s in (1, -1))
        gains: NDArray[np.float32] = np.where(
            signs > 0, up, np.where(signs < 0, down, 1 + 0 * level)
        )
        return gains


def embed_watermark(
    waveform: Waveform,
    sample_rate: int,
    payload: Payload | None = None,
    key: str | None = None,
    depth: float = DEPTH_DB,
) -> Waveform:
    """`waveform` [L] with the watermark in it, as float32 [L]; the arguments as of `Marker`."""
    marker = Marker(sample_rate, payload, key, depth)
    return np.concatenate([marker.push(waveform), marker.finish()])
