"""Silence at the ends of speech, found and cut. Knows no files and no model.

Loud frames are speech; so are quiet ones beside them that have a pitch, down to 60 dB below the loudest: a vowel
that dies away is not cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from openbark.audio.samples import check_waveform
from openbark.errors import ParamError
from openbark.types import Waveform

MAX_KEEP_SECONDS = 0.15
"""Most silence that `trim_silence` leaves at an end."""

_FRAME_SECONDS = 0.01
_WINDOW_SECONDS = 0.04
_LOUD_DB = -40.0
_VOICED_DB = -60.0
_PERIODIC = 0.5
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0
_FRAMES_AT_ONCE = 2048
_SILENT = 1e-5


def trim_silence(
    waveform: Waveform, sample_rate: int, keep_seconds: float = MAX_KEEP_SECONDS
) -> Waveform:
    """A copy of waveform [L] without the silence before and after the speech, but for `keep_seconds` of it.

    Raises ParamError unless `keep_seconds` is in 0..MAX_KEEP_SECONDS.
    """
    start, stop = speech_bounds(waveform, sample_rate, keep_seconds)
    return check_waveform(waveform, sample_rate)[start:stop].copy()


def speech_bounds(
    waveform: Waveform, sample_rate: int, keep_seconds: float = MAX_KEEP_SECONDS
) -> tuple[int, int]:
    """First sample and end of what `trim_silence` keeps; (0, L) where nothing is loud enough to be speech."""
    if isinstance(keep_seconds, bool) or not 0 <= keep_seconds <= MAX_KEEP_SECONDS:
        raise ParamError(
            f"keep_seconds is {keep_seconds!r}; allowed: 0 to {MAX_KEEP_SECONDS:g} seconds of silence"
        )
    samples = check_waveform(waveform, sample_rate)
    frame = max(1, round(_FRAME_SECONDS * sample_rate))
    n_frames = -(-len(samples) // frame)
    if n_frames == 0 or np.abs(samples).max() <= _SILENT:
        return 0, len(samples)
    padded = np.pad(samples.astype(np.float64), (0, n_frames * frame - len(samples)))
    level = np.sqrt((padded.reshape(-1, frame) ** 2).mean(axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (_LOUD_DB / 20))
    audible = level > level.max() * 10 ** (_VOICED_DB / 20)
    first = _before(int(loud[0]), audible, padded, frame, sample_rate)
    last = (
        n_frames
        - 1
        - _before(n_frames - 1 - int(loud[-1]), audible[::-1], padded[::-1], frame, sample_rate)
    )
    keep = int(keep_seconds * sample_rate)
    return max(0, first * frame - keep), min(len(samples), (last + 1) * frame + keep)


def _before(
    first: int,
    audible: NDArray[np.bool_],
    samples: NDArray[np.float64],
    frame: int,
    sample_rate: int,
) -> int:
    """The first frame of the unbroken voiced run that ends at frame `first`."""
    end = first
    while first > 0:
        start = max(0, first - _FRAMES_AT_ONCE)
        speech = audible[start:first] & _voiced(samples, start, first, frame, sample_rate)
        silent = np.flatnonzero(~speech)
        if len(silent):
            first = start + int(silent[-1]) + 1
            break
        first = start
    # The window that found a pitch reaches further back than its frame.
    reach = round(_WINDOW_SECONDS / _FRAME_SECONDS) - 1
    return first if first == end else max(0, first - reach)


def _voiced(
    samples: NDArray[np.float64], start: int, stop: int, frame: int, sample_rate: int
) -> NDArray[np.bool_]:
    """Which of frames `start`..`stop` have a pitch: the autocorrelation of the window up to each has a peak.

    Up to it, not around it: beside loud speech a window around it would hear that.
    """
    size = round(_WINDOW_SECONDS * sample_rate)
    padded = np.pad(samples, (size - frame, 0))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::frame][start:stop]
    centred = windows - windows.mean(axis=1, keepdims=True)
    n_fft = 1 << (2 * size - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, n_fft, axis=1)) ** 2
    correlation = np.fft.irfft(power, n_fft, axis=1)[:, :size]
    lags = np.arange(size)
    # What a window of this length can at most correlate at a lag, so that long periods count as much.
    normal = correlation / (np.maximum(correlation[:, :1], 1e-12) * (1 - lags / size))
    low, high = int(sample_rate / _HIGHEST_HZ), min(int(sample_rate / _LOWEST_HZ), size // 2)
    voiced: NDArray[np.bool_] = normal[:, low : high + 1].max(axis=1) > _PERIODIC
    return voiced
