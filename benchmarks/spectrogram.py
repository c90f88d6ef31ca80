"""Pictures of clips: the teacher's spectrogram above the model's. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.systems import Spoken
from benchmarks.waveforms import power_spectra
from openbark.errors import MissingExtraError

__all__ = ["draw_spectrograms", "load_pyplot", "log_spectrogram"]

_N_FFT, _HOP_S = 768, 0.004
_RANGE_DB = 70.0
_PRE_EMPHASIS = 0.9


def log_spectrogram(
    waveform: npt.NDArray[np.floating], sample_rate: int
) -> npt.NDArray[np.float64]:
    """Decibels below the clip's peak ``[n_bins, T]``, down to -70; 4 ms hop.

    Pre-emphasis lifts the weak upper band, where codecs fail first.
    """
    signal = np.asarray(waveform, dtype=np.float64)
    signal = np.append(signal[:1], signal[1:] - _PRE_EMPHASIS * signal[:-1])
    power = power_spectra(signal, _N_FFT, round(_HOP_S * sample_rate))
    top = max(float(power.max()), 1e-12)
    levels: npt.NDArray[np.float64] = np.maximum(10.0 * np.log10(power / top + 1e-12), -_RANGE_DB)
    return levels.T


def load_pyplot() -> Any:
    """matplotlib's pyplot, drawing to files only. Raises MissingExtraError without matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError(
            "spectrogram pictures need matplotlib; install it with: pip install matplotlib,"
            " or leave out --out"
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_spectrograms(path: Path, title: str, clips: dict[str, Spoken]) -> None:
    """Write one PNG with a row per clip, the same time and frequency scale in all."""
    pyplot = load_pyplot()
    figure, axes = pyplot.subplots(
        len(clips), 1, sharex=True, figsize=(12, 4.0 * len(clips)), squeeze=False
    )
    for axis, (name, clip) in zip(axes[:, 0], clips.items(), strict=True):
        seconds = len(clip.waveform) / clip.sample_rate
        axis.imshow(
            log_spectrogram(clip.waveform, clip.sample_rate),
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=(0.0, seconds, 0.0, clip.sample_rate / 2000.0),
        )
        axis.set_ylabel(f"{name}, kHz")
    longest = max(len(clip.waveform) / clip.sample_rate for clip in clips.values())
    axes[0, 0].set_xlim(0.0, longest)
    axes[-1, 0].set_xlabel("seconds")
    figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
