"""Speech from the flite and espeak-ng programs, as 24 kHz waveforms.

flite also tells when each phone ends; espeak-ng does not and serves codec training only (it has
sound above flite's 8 kHz). Both are separate programs that the user installs. Knows nothing of
semantic tokens.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openbark.errors import TrainingError
from recipes.embedded.synth.labels import PAUSE

SAMPLE_RATE = 24_000
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
_LEADING_SILENCE = 0.10
_TRAILING_SILENCE = 0.16
_TIMEOUT_SECONDS = 60
_HALF_WIDTH = 48


@dataclass(frozen=True)
class Speech:
    """A spoken text.

    Attributes:
        waveform: float32 [L] in [-1, 1] at 24 kHz.
        phones: names [P] in order; empty if the program does not tell.
        end_times: end of each phone in seconds [P].
    """

    waveform: NDArray[np.float32]
    phones: tuple[str, ...]
    end_times: tuple[float, ...]


def speak_flite(text: str, voice: str) -> Speech:
    """Speak with a flite voice; silence at the ends is brought to 0.10 and 0.16 s.

    Args:
        voice: one of :data:`FLITE_VOICES`.

    Raises:
        TrainingError: flite is not installed, does not know the voice, or says nothing.
    """
    if voice not in FLITE_VOICES:
        raise TrainingError(f"no flite voice {voice!r}; choose one of {', '.join(FLITE_VOICES)}")
    program = _program("flite", "flite")
    with tempfile.TemporaryDirectory(prefix="openbark-") as folder:
        path = Path(folder) / "speech.wav"
        command = [program, "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
        report = _output_of(command)
        waveform, sample_rate = _read_wave(path, program)
    phones, end_times = _parse_phones(report, text)
    waveform = resample_for_corpus(waveform, sample_rate)
    return _trimmed(waveform, phones, end_times)


def speak_espeak(text: str, voice: str) -> Speech:
    """Speak with an espeak-ng voice such as "en-us+f3"; no phones, silence left as it is."""
    program = _program("espeak-ng", "espeak-ng")
    with tempfile.TemporaryDirectory(prefix="openbark-") as folder:
        path = Path(folder) / "speech.wav"
        _output_of([program, "-v", voice, "-w", str(path), text])
        waveform, sample_rate = _read_wave(path, program)
    return Speech(resample_for_corpus(waveform, sample_rate), (), ())


def resample_for_corpus(waveform: NDArray[np.float32], source_rate: int) -> NDArray[np.float32]:
    """Resample [L] to 24 kHz with a Kaiser-windowed sinc, one filter per output phase."""
    if source_rate == SAMPLE_RATE:
        return waveform
    ratio = Fraction(SAMPLE_RATE, source_rate)
    up, down = ratio.numerator, ratio.denominator
    n_out = -(-len(waveform) * up // down)
    position = np.arange(min(up, max(n_out, 1))) * down
    cutoff = min(1.0, up / down) * 0.96
    half = int(np.ceil(_HALF_WIDTH / cutoff))
    taps = np.arange(-half + 1, half + 1)
    distance = taps[None, :] - (position % up)[:, None] / up
    inside = np.clip(1 - (distance / half) ** 2, 0, None)
    filters = cutoff * np.sinc(cutoff * distance) * np.i0(8.0 * np.sqrt(inside)) / np.i0(8.0)
    filters = (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)
    padded = np.pad(waveform, (half - 1, half + 1 + down)).astype(np.float32)
    result = np.empty(n_out, np.float32)
    for phase, taps_of_phase in enumerate(filters):
        count = -(-(n_out - phase) // up)
        view = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)
        result[phase::up] = view[phase * down // up :: down][:count] @ taps_of_phase
    return result


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise TrainingError(
            f"the program {name} is not installed; the synthetic corpus needs it:"
            f" install it with your system's package manager (for example apt install {package})"
        )
    return path


def _output_of(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        detail = (error.stderr or "") if isinstance(error.stderr, str | None) else ""
        raise TrainingError(f"{command[0]} failed on {command!r}: {error} {detail}") from error
    return done.stdout


def _read_wave(path: Path, program: str) -> tuple[NDArray[np.float32], int]:
    if not path.exists():
        raise TrainingError(f"{program} wrote no audio; does it know the voice?")
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2 or file.getnchannels() != 1:
            raise TrainingError(f"{program} wrote something else than 16 bit mono audio")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return (samples / 32768).astype(np.float32), file.getframerate()


def _parse_phones(report: str, text: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    pairs = [item.rpartition(":") for item in report.split()]
    phones = tuple(name for name, _, _ in pairs)
    if set(phones) <= {PAUSE}:
        raise TrainingError(f"flite found nothing to say in {text!r}; give it words")
    return phones, tuple(float(end) for _, _, end in pairs)


def _trimmed(
    waveform: NDArray[np.float32], phones: tuple[str, ...], end_times: tuple[float, ...]
) -> Speech:
    """Cut or pad the pauses at both ends to their fixed lengths; phone times move along."""
    start = end_times[0] if phones[0] == PAUSE else 0.0
    stop = end_times[-2] if phones[-1] == PAUSE else end_times[-1]
    shift = _LEADING_SILENCE - start
    total = stop + shift + _TRAILING_SILENCE
    lead = round(shift * SAMPLE_RATE)
    waveform = np.pad(waveform, (max(0, lead), 0))[max(0, -lead) :]
    n_samples = round(total * SAMPLE_RATE)
    waveform = np.pad(waveform, (0, max(0, n_samples - len(waveform))))[:n_samples]
    names, ends = list(phones), [end + shift for end in end_times]
    if names[0] != PAUSE:
        names.insert(0, PAUSE)
        ends.insert(0, _LEADING_SILENCE)
    if names[-1] != PAUSE:
        names.append(PAUSE)
        ends.append(total)
    ends[-1] = total
    return Speech(np.ascontiguousarray(waveform), tuple(names), tuple(ends))
