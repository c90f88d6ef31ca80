"""How close decoded audio is to the original, sample-aligned: mel distance, and STOI and PESQ.

Compares a part of the model with the teacher's clip that went into it. STOI and PESQ come from
the packages pystoi and pesq and are measured only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.systems import Spoken
from benchmarks.waveforms import mel_filters, power_spectra, resample
from openbark.errors import MissingExtraError

__all__ = ["compare_with_original", "mel_distance"]

_N_FFT, _HOP, _N_MELS = 1024, 256, 80
_LIMIT_HZ = 7800.0
_FLOOR = 1e-4
_WIDE_BAND_RATE = 16_000


def mel_distance(
    original: npt.NDArray[np.floating], copy: npt.NDArray[np.floating], sample_rate: int
) -> float:
    """Mean L1 of natural-log mel magnitudes (80 bands to 7.8 kHz, floor 1e-4), aligned clips."""
    bank = mel_filters(sample_rate, _N_FFT, _N_MELS, 0.0, _LIMIT_HZ)
    length = min(len(original), len(copy))
    logs = [
        np.log(np.maximum(np.sqrt(power_spectra(clip[:length], _N_FFT, _HOP)) @ bank, _FLOOR))
        for clip in (original, copy)
    ]
    return float(np.abs(logs[0] - logs[1]).mean())


def compare_with_original(
    originals: Sequence[Spoken], copies: Sequence[Spoken], *, extra_metrics: bool
) -> dict[str, Any]:
    """Mean distances of pairs of clips, at the rate of the copies."""
    pairs = list(zip(originals, copies, strict=True))
    result = {
        "n_clips": len(pairs),
        "mel_l1": _mean(lambda a, b, rate: mel_distance(a, b, rate), pairs),
    }
    if extra_metrics:
        result["stoi"] = _mean(_stoi, pairs)
        result["pesq_wb"] = _mean(_pesq, pairs)
    return result


def _mean(
    measure: Callable[[npt.NDArray[Any], npt.NDArray[Any], int], float],
    pairs: Sequence[tuple[Spoken, Spoken]],
) -> float:
    values = []
    for original, copy in pairs:
        first = resample(original.waveform, original.sample_rate, copy.sample_rate)
        length = min(len(first), len(copy.waveform))
        values.append(measure(first[:length], copy.waveform[:length], copy.sample_rate))
    return float(np.mean(values))


def _stoi(a: npt.NDArray[Any], b: npt.NDArray[Any], rate: int) -> float:
    return float(_load("pystoi").stoi(a, b, rate))


def _pesq(a: npt.NDArray[Any], b: npt.NDArray[Any], rate: int) -> float:
    first, second = (resample(x, rate, _WIDE_BAND_RATE) for x in (a, b))
    return float(_load("pesq").pesq(_WIDE_BAND_RATE, first, second, "wb"))


def _load(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"--extra-metrics needs the package {name}; install it with: pip install {name}"
        ) from error
