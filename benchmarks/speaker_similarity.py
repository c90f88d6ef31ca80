"""How alike two speakers sound: long-term MFCC and pitch statistics, WCCN, cosine.

The classic measure before neural networks, so that no model of ours judges itself: mean and
standard deviation of 19 mel cepstra (Davis and Mermelstein 1980) over the voiced frames, median
and spread of log pitch, whitened by the within-speaker covariance (Hatch 2006), cosine. It hears
timbre and pitch, not words; it knows nothing of Bark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.waveforms import frame, mel_filters, power_spectra, resample
from openbark.errors import AudioError

__all__ = ["SpeakerMeasure", "pitch_track", "speaker_statistics"]

Array = npt.NDArray[np.float64]

SAMPLE_RATE = 16_000
_N_FFT, _HOP = 512, 160
_N_BANDS, _N_CEPSTRA = 24, 19
_LOW_HZ, _HIGH_HZ = 100.0, 7000.0
_PITCH_RANGE = (60.0, 350.0)
_PITCH_WINDOW = 640
_VOICED = 0.5
_ACTIVE_BELOW_PEAK_DB = 30.0
_MIN_FRAMES = 10
_SHRINKAGE = 0.1


def pitch_track(waveform: npt.NDArray[np.floating]) -> tuple[Array, Array]:
    """Pitch (Hz) and strength (0..1) ``[T]`` of 16 kHz audio, 10 ms hop, by autocorrelation.

    The frame's autocorrelation is divided by the window's own (Boersma 1993).
    """
    window = np.hanning(_PITCH_WINDOW)
    size = 2 * _PITCH_WINDOW
    frames = frame(waveform, _PITCH_WINDOW, _HOP)
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window

    def correlate(rows: Array) -> Array:
        power = np.abs(np.fft.rfft(rows, size)) ** 2
        lags: Array = np.fft.irfft(power)[..., :_PITCH_WINDOW]
        return lags / np.maximum(lags[..., :1], 1e-12)

    shortest, longest = (round(SAMPLE_RATE / hz) for hz in reversed(_PITCH_RANGE))
    lags = correlate(frames) / np.maximum(correlate(window), 0.05)
    lags = lags[:, shortest : longest + 1]
    # A short lag nearly as good as the best is the pitch; its multiples are octaves below.
    good = lags >= 0.9 * lags.max(axis=1, keepdims=True)
    is_peak = np.zeros_like(good)
    is_peak[:, 1:-1] = (lags[:, 1:-1] >= lags[:, :-2]) & (lags[:, 1:-1] >= lags[:, 2:])
    candidates = good & is_peak
    best = np.where(candidates.any(axis=1), candidates.argmax(axis=1), lags.argmax(axis=1))
    strength = np.clip(lags[np.arange(len(lags)), best], 0.0, 1.0)
    return SAMPLE_RATE / (best + shortest), strength


def speaker_statistics(waveform: npt.NDArray[np.floating], sample_rate: int) -> Array:
    """The 40 numbers of a clip: mean and sd of c1..c19, median and spread of log pitch.

    Raises:
        AudioError: fewer than ten voiced frames, or samples that are not finite.
    """
    if not np.isfinite(waveform).all():
        raise AudioError(
            "the clip holds samples that are not finite; the speaker measure needs sound"
        )
    signal = resample(waveform, sample_rate, SAMPLE_RATE)
    power = power_spectra(signal, _N_FFT, _HOP)
    pitch, strength = pitch_track(signal)
    n_frames = min(len(power), len(pitch))
    power, pitch, strength = power[:n_frames], pitch[:n_frames], strength[:n_frames]
    energy = 10.0 * np.log10(power.sum(axis=1) + 1e-12)
    active = energy > energy.max() - _ACTIVE_BELOW_PEAK_DB
    voiced = active & (strength > _VOICED)
    if voiced.sum() < _MIN_FRAMES:
        raise AudioError(
            f"only {int(voiced.sum())} voiced frames of 10 ms; the speaker measure needs"
            f" {_MIN_FRAMES} (is the clip silent?)"
        )
    bank = mel_filters(SAMPLE_RATE, _N_FFT, _N_BANDS, _LOW_HZ, _HIGH_HZ)
    log_mel = np.log(power[voiced] @ bank + 1e-8)
    band = np.arange(_N_BANDS) + 0.5
    order = np.arange(1, _N_CEPSTRA + 1)
    cepstra = log_mel @ np.cos(np.pi / _N_BANDS * band[:, None] * order)
    log_pitch = np.log2(pitch[voiced])
    low, middle, high = np.quantile(log_pitch, (0.25, 0.5, 0.75))
    return np.concatenate([cepstra.mean(axis=0), cepstra.std(axis=0), [middle, high - low]])


@dataclass(frozen=True)
class SpeakerMeasure:
    """A fitted measure.

    Attributes:
        centre: mean of the speakers' means [D].
        whitening: maps statistics to a space of unit within-speaker covariance [D, D].
        references: speaker -> unit vector [D].
    """

    centre: Array
    whitening: Array
    references: Mapping[str, Array]

    @classmethod
    def fit(cls, statistics: Mapping[str, Sequence[Array]]) -> SpeakerMeasure:
        """Fit on several clips of each speaker."""
        means = {name: np.mean(rows, axis=0) for name, rows in statistics.items()}
        centre = np.mean(list(means.values()), axis=0)
        rests = np.concatenate([np.asarray(rows) - means[n] for n, rows in statistics.items()])
        covariance = rests.T @ rests / max(1, len(rests) - len(means))
        spread = np.diag(np.diag(covariance)) + 1e-9 * np.eye(len(centre))
        covariance = (1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * spread
        values, vectors = np.linalg.eigh(covariance)
        whitening = (vectors / np.sqrt(values)) @ vectors.T
        references = {name: _unit((mean - centre) @ whitening) for name, mean in means.items()}
        return cls(centre, whitening, references)

    def with_references(
        self, clips: Mapping[str, Sequence[tuple[npt.NDArray[np.floating], int]]]
    ) -> SpeakerMeasure:
        """The same space with other reference voices, each a list of (waveform [L], sample rate)."""
        references = {
            name: _unit(np.mean([self.embed(speaker_statistics(*clip)) for clip in row], axis=0))
            for name, row in clips.items()
        }
        return replace(self, references=references)

    def embed(self, statistics: Array) -> Array:
        """Unit vector ``[D]`` of a clip's statistics."""
        return _unit((statistics - self.centre) @ self.whitening)

    def similarity(self, statistics: Array) -> dict[str, float]:
        """Cosine (-1..1) to each speaker's reference."""
        vector = self.embed(statistics)
        return {name: float(vector @ reference) for name, reference in self.references.items()}


def _unit(vector: Array) -> Array:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
