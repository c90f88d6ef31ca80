"""Looks for the watermark in a recording: where it begins, how sure that is, and what it says.

The score is in standard deviations of what speech without the mark gives. Recordings are searched in blocks of 60 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openbark.audio.resample import resample
from openbark.audio.samples import check_rate
from openbark.errors import AudioError
from openbark.types import Waveform
from openbark.watermark.pattern import (
    N_BANDS,
    N_CODED,
    N_SLOTS,
    RATE,
    SLOT_SECONDS,
    Pattern,
    band_of_bins,
    pattern_of,
    watermark_key,
)
from openbark.watermark.payload import Payload, decode_payload

PRESENT, UNCERTAIN = 7.0, 5.5
"""Scores from which a mark is reported as present, and as uncertain."""
MIN_SECONDS = 2.0
_BLOCK_SECONDS = 60
_PHASES = 8
_FFT = 512
_STEP = round(RATE * SLOT_SECONDS / _PHASES)
_WINDOW_SLOTS = 2 * N_SLOTS
_FLOOR_DB = 45.0
_CLIP = 3.0
_NOISE_MARGIN = 1.0
_RIDGE = 0.05
_FRAMES_AT_ONCE = 2048
_SPEEDS = (0.0, *(sign * step / 200 for step in range(1, 7) for sign in (1, -1)))


@dataclass(frozen=True)
class Detection:
    """state: "present", "uncertain", "absent" or "too short"; score: the highest; start, end: seconds of the
    stretch it was found in; speed: of the recording against the original; payload: None unless its checksum is right."""

    state: str
    score: float = 0.0
    start: float = 0.0
    end: float = 0.0
    speed: float = 1.0
    payload: Payload | None = None


def detect_watermark(
    waveform: Waveform, sample_rate: int, key: str | None = None, speeds: bool = False
) -> Detection:
    """Search samples [L], or [L, channels], for the mark of `key` (None: of the environment).

    speeds: also search recordings that play up to 3 % faster or slower, which takes longer. Raises AudioError for
    what is no recording.
    """
    check_rate("sample_rate", sample_rate)
    samples = np.asarray(waveform)
    if samples.ndim not in (1, 2) or not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"a recording has the shape {list(samples.shape)} and the type {samples.dtype}; allowed: floating "
            "point numbers, [samples] or [samples, channels]"
        )
    if len(samples) < MIN_SECONDS * sample_rate:
        return Detection("too short", end=len(samples) / sample_rate)
    pattern = pattern_of(watermark_key() if key is None else key)
    found = [
        _search(samples, sample_rate, start, pattern, speeds)
        for start in _block_starts(len(samples), sample_rate)
    ]
    return max(found, key=lambda each: each.score)


def _block_starts(n_samples: int, sample_rate: int) -> list[int]:
    block = _BLOCK_SECONDS * sample_rate
    last = max(0, n_samples - math.ceil(MIN_SECONDS * sample_rate))
    return list(range(0, last + 1, block))


def _search(
    samples: NDArray[np.floating], sample_rate: int, start: int, pattern: Pattern, speeds: bool
) -> Detection:
    block = samples[start : start + _BLOCK_SECONDS * sample_rate].astype(np.float32)
    mono = block if block.ndim == 1 else block.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioError("the recording holds samples that are not finite numbers")
    energies = _band_energies(resample(mono, sample_rate, RATE))
    offset = start / sample_rate
    best = Detection("absent", end=offset + len(mono) / sample_rate)
    for shift in _SPEEDS if speeds else (0.0,):
        found = _search_at(energies, 1.0 + shift, offset, pattern)
        if found.score > best.score:
            best = found
        if shift == 0.0 and best.score >= PRESENT:
            break
    return best


def _band_energies(waveform: Waveform) -> NDArray[np.float32]:
    """Energy of the bands [T, N_BANDS], every eighth of a slot."""
    window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    band = band_of_bins(_FFT, RATE)
    sums = np.zeros((len(band), N_BANDS), np.float32)
    inside = np.flatnonzero(band < N_BANDS)
    sums[inside, band[inside]] = 1.0
    padded = np.pad(waveform, (_FFT // 2, _FFT // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_STEP]
    parts = []
    for first in range(0, len(windows), _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(windows[first : first + _FRAMES_AT_ONCE] * window, axis=1)
        parts.append(((spectrum.real**2 + spectrum.imag**2) @ sums).astype(np.float32))
    return np.concatenate(parts)


def _search_at(
    energies: NDArray[np.float32], speed: float, offset: float, pattern: Pattern
) -> Detection:
    level = 10.0 * np.log10(energies.astype(np.float64) + 1e-12)
    step = 1.0 / speed
    if speed != 1.0:
        level = _stretched(level, step)
    best = Detection("absent")
    for phase in range(_PHASES):
        n_slots = (len(level) - phase) // _PHASES
        if n_slots < N_SLOTS // 2:
            continue
        cells = _cells(level[phase : phase + n_slots * _PHASES])
        for first in _window_starts(n_slots):
            part = cells[first : first + _WINDOW_SLOTS] if first >= 0 else cells
            at = max(first, 0)
            score, turn = _best_start(part, at, pattern)
            if score > best.score:
                soft = _soft_bits(part, at, turn, pattern)
                seconds = [
                    offset + (phase + slot * _PHASES) * _STEP / RATE * step
                    for slot in (at, at + len(part))
                ]
                best = Detection(
                    _state(score), score, seconds[0], seconds[1], speed, _trusted(score, soft)
                )
    return best


def _trusted(score: float, soft: NDArray[np.float64]) -> Payload | None:
    return decode_payload(soft) if score >= PRESENT else None


def _state(score: float) -> str:
    if score >= PRESENT:
        return "present"
    return "uncertain" if score >= UNCERTAIN else "absent"


def _stretched(level: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    places = np.arange(0.0, len(level) - 1, step)
    left = places.astype(np.int64)
    share = (places - left)[:, None]
    return level[left] * (1.0 - share) + level[left + 1] * share


def _window_starts(n_slots: int) -> list[int]:
    """-1 is all of it; windows of two periods find a short marked stretch in a long recording."""
    if n_slots <= _WINDOW_SLOTS:
        return [-1]
    return [-1, *range(0, n_slots - _WINDOW_SLOTS // 2, N_SLOTS)]


def _cells(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """How each band rises and falls within each slot, [slots, N_BANDS], whitened across bands."""
    sine = np.sin(2.0 * np.pi * np.arange(_PHASES) / _PHASES)
    slots = level.reshape(-1, _PHASES, N_BANDS)
    cells = np.einsum("spb,p->sb", slots, sine)
    loud = slots.mean(axis=1)
    kept = loud > np.maximum(np.percentile(loud, 95, axis=0) - _FLOOR_DB, -100.0)
    cells = np.where(kept, cells, 0.0)
    # Steady noise hides the mark where the speech is no louder; such cells count for less.
    power = 10.0 ** (loud / 10.0)
    cells = cells * np.clip(
        1.0 - _NOISE_MARGIN * np.percentile(power, 10, axis=0) / power, 0.0, 1.0
    )
    rms = np.sqrt((cells**2).sum(axis=0) / np.maximum(kept.sum(axis=0), 1))
    cells = np.clip(cells / np.maximum(rms, 1e-6), -_CLIP, _CLIP)
    covariance = cells.T @ cells / max(len(cells), 1) + _RIDGE * np.eye(N_BANDS)
    values, vectors = np.linalg.eigh(covariance)
    whitened: NDArray[np.float64] = cells @ ((vectors / np.sqrt(values)) @ vectors.T)
    return whitened


def _folded(cells: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """Sums [N_SLOTS, N_BANDS] of the cells that are whole periods apart; slot `first` of the recording is the first."""
    sums = np.zeros((N_SLOTS, N_BANDS))
    np.add.at(sums, (first + np.arange(len(cells))) % N_SLOTS, cells)
    return sums


def _best_start(cells: NDArray[np.float64], first: int, pattern: Pattern) -> tuple[float, int]:
    """The score of the best of 64 starts, and that start."""
    fixed = pattern.bits < 0
    signs = np.where(fixed, pattern.signs, 0).astype(np.float64)
    turns = (np.arange(N_SLOTS)[:, None] + np.arange(N_SLOTS)) % N_SLOTS
    sums = signs[turns].reshape(N_SLOTS, -1) @ _folded(cells, first).ravel()
    powers = np.abs(signs)[turns].reshape(N_SLOTS, -1) @ _folded(cells**2, first).ravel()
    scores = sums / np.sqrt(np.maximum(powers, 1e-9))
    turn = int(scores.argmax())
    return float(scores[turn]), turn


def _soft_bits(
    cells: NDArray[np.float64], first: int, turn: int, pattern: Pattern
) -> NDArray[np.float64]:
    """Evidence [92] for each bit of the coded payload, positive for 0."""
    found = np.roll(_folded(cells, first), turn, axis=0) * pattern.signs
    carries = pattern.bits >= 0
    sums: NDArray[np.float64] = np.zeros(N_CODED)
    np.add.at(sums, pattern.bits[carries], found[carries])
    return sums
