"""Independent ears: a speech recogniser of any words, a model of mean opinion scores, a speaker encoder.

None of them is ours, and none is needed to speak. They come from packages:

    pip install faster-whisper jiwer onnxruntime
    pip install --no-deps speechmos==0.0.1.1 Resemblyzer==0.1.4

and a folder with a Whisper model in CTranslate2's form, given by path.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from openbark.audio import resample

__all__ = ["RATE", "Opinion", "OpinionScores", "Recogniser", "SpeakerEncoder", "plain_words"]

RATE = 16_000
Waveform = NDArray[np.float32]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SPELLINGS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "okay": "ok", "gray": "grey"}


def plain_words(text: str) -> list[str]:
    """Words as they are compared: lower case, no punctuation, numbers below a million in words."""
    lowered = text.lower().replace("’", "'").replace("%", " percent ").replace(",", "")
    tokens = re.findall(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*", lowered.replace("-", " "))
    words: list[str] = []
    for token in tokens:
        if token.isdigit() and len(token) < 7:
            words += _number(int(token))
        else:
            words.append(_SPELLINGS.get(token, token))
    return words


def _number(value: int) -> list[str]:
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        return [_TENS[value // 10 - 2], *(_number(value % 10) if value % 10 else ())]
    size, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    return [*_number(value // size), name, *(_number(value % size) if value % size else ())]


class Recogniser:
    """Whisper with a fixed beam, no sampling, and no memory from clip to clip."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads
        )

    def __call__(self, waveform: Waveform, rate: int, language: str = "en") -> str:
        """What is heard in `waveform`."""
        segments, _ = self._model.transcribe(
            resample(waveform, rate, RATE),
            language=language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text.strip() for segment in segments)


@dataclass(frozen=True)
class Opinion:
    """DNSMOS P.835 on a scale of 1 to 5: speech, background, both together."""

    signal: float
    background: float
    overall: float


# Reddy et al. 2022: the polynomials that map the network's outputs to opinion scores.
_SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)
_OPINION_SAMPLES = 144_160
_PEAK = 0.7


class OpinionScores:
    """DNSMOS of a clip: repeated to 9.01 s, brought to a fixed peak."""

    def __init__(self) -> None:
        import onnxruntime

        spec = importlib.util.find_spec("speechmos")
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("pip install --no-deps speechmos==0.0.1.1")
        folder = Path(spec.submodule_search_locations[0])
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "dnsmos_models" / "sig_bak_ovr.onnx")
        )

    def __call__(self, waveform: Waveform, rate: int) -> Opinion:
        """Scores of one clip."""
        x = resample(waveform, rate, RATE)
        x = x * np.float32(_PEAK / max(1e-9, float(np.abs(x).max())))
        x = np.tile(x, -(-_OPINION_SAMPLES // len(x)))[:_OPINION_SAMPLES]
        raw = self._session.run(None, {"input_1": x[None]})[0][0]
        scores = [
            np.polyval(p, v) for p, v in zip((_SIGNAL, _BACKGROUND, _OVERALL), raw, strict=True)
        ]
        return Opinion(*(float(score) for score in scores))


class SpeakerEncoder:
    """Resemblyzer's network (GE2E, Wan 2018): one vector of length 1 per recording.

    Ten people, ten utterances each: 0.87 between recordings of one person, 0.53 between two.
    """

    _WINDOW, _STEP = 160, 77  # Frames of 10 ms: 1.6 s, 1.3 windows a second.
    _LEVEL_DB = -30.0

    def __init__(self) -> None:
        spec = importlib.util.find_spec("resemblyzer")
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("pip install --no-deps Resemblyzer==0.1.4")
        path = Path(spec.submodule_search_locations[0]) / "pretrained.pt"
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        self._lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self._linear = nn.Linear(256, 256)
        for name, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            own = {k.removeprefix(name): v for k, v in state.items() if k.startswith(name)}
            module.load_state_dict(own)
        self._filters = _slaney_filters()

    @torch.inference_mode()
    def __call__(self, waveform: Waveform, rate: int) -> NDArray[np.float32]:
        """The speaker vector [256]; silent stretches are left out."""
        mel = self._mel(_sounding(self._levelled(resample(waveform, rate, RATE))))
        starts = range(0, len(mel) - self._WINDOW + 1, self._STEP)
        windows = torch.from_numpy(np.stack([mel[s : s + self._WINDOW] for s in starts]))
        hidden, _ = self._lstm(windows)
        each = torch.nn.functional.normalize(torch.relu(self._linear(hidden[:, -1])), dim=1)
        vector: NDArray[np.float32] = torch.nn.functional.normalize(each.mean(0), dim=0).numpy()
        return vector

    def _levelled(self, x: Waveform) -> Waveform:
        level = 10 * np.log10(float(np.mean(x**2)) + 1e-12)
        return x * np.float32(10 ** (max(0.0, self._LEVEL_DB - level) / 20))

    def _mel(self, x: Waveform) -> NDArray[np.float32]:
        """Power in 40 mel bands [T, 40], at least one window long."""
        padded = np.pad(x, (200, 200))
        window = np.hanning(401)[:-1].astype(np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160]
        power = np.abs(np.fft.rfft(frames * window)) ** 2
        mel = (power @ self._filters.T).astype(np.float32)
        return np.pad(mel, ((0, max(0, self._WINDOW - len(mel))), (0, 0)))


def _sounding(x: Waveform) -> Waveform:
    """Frames of 30 ms within 35 dB of the loud ones, and three on either side."""
    n = len(x) // 480
    frames = x[: n * 480].reshape(n, 480)
    level = np.sqrt((frames**2).mean(axis=1))
    loud = level > np.percentile(level, 95) * 10 ** (-35 / 20)
    return frames[np.convolve(loud, np.ones(7), "same") > 0].ravel()


def _slaney_filters() -> NDArray[np.float64]:
    """40 triangles [40, 201] up to 8 kHz, of equal area, on Slaney's mel scale (linear below 1 kHz)."""
    per_octave = 27 / np.log(6.4)
    top = 15 + np.log(8000 / 1000) * per_octave
    mels = np.linspace(0, top, 42)
    points = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) / per_octave))
    bins = np.linspace(0, 8000, 201)
    low, middle, high = points[:-2, None], points[1:-1, None], points[2:, None]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    filters: NDArray[np.float64] = np.maximum(0, triangles) * 2 / (high - low)
    return filters
