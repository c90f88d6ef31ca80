"""Speech after speech in one waveform: pauses between, equal-power fades at every seam, block by block.

Blocks or a whole give the same samples. Knows no text; trimming the silence at the ends is `openbark.audio.trim`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from openbark.audio.samples import check_rate, check_waveform
from openbark.errors import ParamError
from openbark.types import Waveform

MAX_CROSSFADE_SECONDS = 0.02

SILENCE_SECONDS = 10.0
"""Longest block of silence."""


class Joiner:
    """Lays waveforms one behind the other. The last samples are held back until it is known what they fade to."""

    def __init__(self, sample_rate: int, crossfade_seconds: float = 0.015) -> None:
        """Raises ParamError unless `crossfade_seconds` is in 0..MAX_CROSSFADE_SECONDS."""
        check_rate("sample_rate", sample_rate)
        if not 0 <= crossfade_seconds <= MAX_CROSSFADE_SECONDS:
            raise ParamError(
                f"crossfade_seconds is {crossfade_seconds!r}; allowed: 0 to {MAX_CROSSFADE_SECONDS:g}"
            )
        self.sample_rate = sample_rate
        self._n_fade = round(crossfade_seconds * sample_rate)
        self._tail: Waveform = np.zeros(0, dtype=np.float32)
        self._n_out = 0
        self._gap = 0

    @property
    def end(self) -> int:
        """Samples of everything so far, pauses and what is held back included."""
        return self._n_out + len(self._tail) + self._gap

    def pause(self, seconds: float) -> None:
        """Silence before whatever comes next."""
        self._gap += round(seconds * self.sample_rate)

    def silence(self) -> Iterator[Waveform]:
        """The pause so far in blocks of SILENCE_SECONDS, but for a last one that is no longer than that and stays: hours
        of silence never lie in one array. What comes next is the same with or without it."""
        most = round(SILENCE_SECONDS * self.sample_rate)
        if self._gap <= most:
            return
        yield self._out([self._tail * _fade_out(len(self._tail))])
        self._tail = np.zeros(0, dtype=np.float32)
        while self._gap > most:
            self._gap -= most
            yield self._out([np.zeros(most, np.float32)])

    def add(self, waveform: Waveform) -> tuple[Waveform, int]:
        """Put speech [L] behind what is there: the samples that are ready, and where the speech begins.

        Without a pause before, its first samples lie over the last ones, each faded.
        """
        speech = check_waveform(waveform, self.sample_rate)
        n_fade = min(self._n_fade, len(speech) // 2)
        head, body = speech[:n_fade], speech[n_fade:]
        if self._gap == 0 and len(self._tail) == n_fade > 0:
            blocks = [self._tail * _fade_out(n_fade) + head * _fade_in(n_fade)]
            begins = self._n_out
        else:
            ended = self._tail * _fade_out(len(self._tail))
            blocks = [ended, np.zeros(self._gap, np.float32), head * _fade_in(n_fade)]
            begins = self.end
        blocks.append(body[: len(body) - n_fade])
        self._tail, self._gap = body[len(body) - n_fade :].copy(), 0
        return self._out(blocks), begins

    def extend(self, waveform: Waveform) -> Waveform:
        """Go on with the speech that was added last: the samples that are ready.

        Speech that came in parts is what it is in one, if its first part is at least two fades long.
        """
        held = np.concatenate([self._tail, check_waveform(waveform, self.sample_rate)])
        n_ready = max(0, len(held) - self._n_fade)
        self._tail = held[n_ready:].copy()
        return self._out([held[:n_ready]])

    def finish(self) -> Waveform:
        """The last samples, faded out, and a pause if one was asked for."""
        blocks = [self._tail * _fade_out(len(self._tail)), np.zeros(self._gap, np.float32)]
        self._tail, self._gap = np.zeros(0, dtype=np.float32), 0
        return self._out(blocks)

    def _out(self, blocks: list[Waveform]) -> Waveform:
        ready: Waveform = np.concatenate(blocks).astype(np.float32, copy=False)
        self._n_out += len(ready)
        return ready


def _fade_in(n_samples: int) -> NDArray[np.float32]:
    """Rising quarter of a sine; with its mirror image the power adds up to one."""
    turn = (np.arange(n_samples) + 0.5) / max(n_samples, 1)
    rising: NDArray[np.float32] = np.sin(np.pi / 2 * turn).astype(np.float32)
    return rising


def _fade_out(n_samples: int) -> NDArray[np.float32]:
    return _fade_in(n_samples)[::-1]
