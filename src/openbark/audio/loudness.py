"""Loudness of a waveform by ITU-R BS.1770-4 (LUFS), and bringing one to a given loudness. Knows no files."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from openbark.audio.resample import resample
from openbark.audio.samples import check_waveform
from openbark.errors import ParamError
from openbark.scalars import read_number
from openbark.types import Waveform

MIN_LOUDNESS = -70.0
MAX_LOUDNESS = -5.0
"""Legal targets in LUFS: above the absolute gate, below what speech reaches without distortion."""

_FILTER_RATE = 48_000
# The two stages of the K filter at 48 kHz (BS.1770-4, Annex 1, tables 1 and 2): numerator, denominator.
_SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
_OFFSET = -0.691
_STEPS_PER_SECOND = 10
_STEPS_PER_BLOCK = 4
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_STEPS_AT_ONCE = 64
# By then the high-pass at 38 Hz has forgotten what it heard.
_SETTLE_SECONDS = 0.4
_CEILING = 10 ** (-1 / 20)


def loudness(waveform: Waveform, sample_rate: int) -> float:
    """Gated loudness of a mono waveform [L] in LUFS; -inf for silence.

    A full-scale sine of 997 Hz has -3.01. Less than one block of 400 ms is measured as it is, ungated.
    """
    samples = check_waveform(waveform, sample_rate)
    if sample_rate > _FILTER_RATE:
        samples, sample_rate = resample(samples, sample_rate, _FILTER_RATE), _FILTER_RATE
    step = round(sample_rate / _STEPS_PER_SECOND)
    if len(samples) < _STEPS_PER_BLOCK * step:
        energy = sum(float(np.sum(part**2)) for part in _weighted(samples, sample_rate, step))
        return _lufs(energy / max(len(samples), 1))
    parts = _weighted(samples, sample_rate, step)
    steps = np.concatenate([_energies(part, step) for part in parts])
    blocks = np.convolve(steps, np.full(_STEPS_PER_BLOCK, 1 / _STEPS_PER_BLOCK), "valid")
    heard = blocks[blocks > _energy(_ABSOLUTE_GATE)]
    if len(heard) == 0:
        return -math.inf
    gate = _lufs(float(heard.mean())) + _RELATIVE_GATE
    return _lufs(float(heard[heard > _energy(gate)].mean()))


def with_loudness(waveform: Waveform, sample_rate: int, target: float) -> Waveform:
    """The waveform [L] at `target` LUFS, by one gain for all of it.

    Never clipped: where the gain would lift the peak over -1 dB of full scale, it stops there, and the result
    is quieter than `target`. Silence stays silence. Raises ParamError for a target outside
    MIN_LOUDNESS..MAX_LOUDNESS.
    """
    check_loudness(target)
    samples = check_waveform(waveform, sample_rate)
    found = loudness(samples, sample_rate)
    if not math.isfinite(found):
        return samples.copy()
    gain = 10 ** ((target - found) / 20)
    peak = float(np.abs(samples).max())
    if gain > 1:
        gain = max(1.0, min(gain, _CEILING / peak))
    return samples * np.float32(gain)


def check_loudness(target: float) -> None:
    """Raise ParamError unless `target` is an allowed one for `with_loudness`."""
    number = read_number(target)
    if number is None or not MIN_LOUDNESS <= number <= MAX_LOUDNESS:
        raise ParamError(
            f"loudness is {target!r} LUFS; allowed: {MIN_LOUDNESS:g} to {MAX_LOUDNESS:g}, -16 is usual for "
            "speech"
        )


def _lufs(energy: float) -> float:
    return _OFFSET + 10 * math.log10(energy) if energy > 0 else -math.inf


def _energy(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))


def _energies(part: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Mean square of each whole step of a part."""
    whole = len(part) // step * step
    energies: NDArray[np.float64] = (part[:whole].reshape(-1, step) ** 2).mean(axis=1)
    return energies


def _weighted(samples: Waveform, sample_rate: int, step: int) -> Iterator[NDArray[np.float64]]:
    """The K-weighted signal in parts of many whole steps.

    The filter is applied where its response is known at any rate: in the frequency domain, on parts that
    overlap by the time it takes to settle.
    """
    margin = round(_SETTLE_SECONDS * sample_rate)
    size = _STEPS_AT_ONCE * step
    padded = np.pad(samples.astype(np.float64), margin)
    n_fft = 1 << (size + 2 * margin - 1).bit_length()
    response = _response(np.fft.rfftfreq(n_fft, 1 / sample_rate))
    for start in range(0, len(samples), size):
        length = min(size, len(samples) - start)
        spectrum = np.fft.rfft(padded[start : start + length + 2 * margin], n_fft)
        filtered = np.fft.irfft(spectrum * response, n_fft)
        yield filtered[margin : margin + length]


def _response(hertz: NDArray[np.floating]) -> NDArray[np.complex128]:
    delay = np.exp(-2j * np.pi * hertz / _FILTER_RATE)
    response: NDArray[np.complex128] = np.ones_like(delay)
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        response = (
            response * np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)
        )
    return response
