"""The things that speak in the quality benchmark: the teacher, the model, and parts of the model.

One small protocol, so that all are measured alike. A part system takes the teacher's own audio
through part of the model, which tells where quality is lost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.teacher import Item, speak, teacher_of
from benchmarks.waveforms import resample
from openbark.api import Bark
from openbark.engine.cascade import run_fine
from openbark.engine.request import Request
from openbark.errors import ParamError, TextError
from openbark.params import GenerationParams
from openbark.stages.semantic import StopReason
from recipes.embedded.synth.speak import SAMPLE_RATE

__all__ = ["PARTS", "ModelSystem", "PartSystem", "Spoken", "System", "TeacherSystem", "make_part"]

Waveform = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]

PARTS = ("codec", "codec-coarse", "true-coarse", "model-coarse")
"""codec: the teacher's codes decoded; codec-coarse: only their coarse books; true-coarse: coarse
books of the teacher, the rest by the fine stage; model-coarse: the model without its fine stage."""


@dataclass(frozen=True)
class Spoken:
    """A clip: waveform ``[L]``, and how it ended.

    Attributes:
        stop_reason: why the model stopped; "" for a system without that notion, "error: ..."
            with an empty waveform if the model said nothing.
        stopped_at_limit: whether it did not end by itself.
        wall_s: seconds it took.
    """

    waveform: Waveform
    sample_rate: int
    stop_reason: str = ""
    stopped_at_limit: bool = False
    wall_s: float = 0.0


class System(Protocol):
    """Something that speaks items in the voice of a preset."""

    @property
    def name(self) -> str:
        """Name in the card and in the JSON."""
        ...

    def speak(self, item: Item, preset: str, seed: int) -> Spoken:
        """Speak an item; the same arguments give the same clip."""
        ...


class TeacherSystem:
    """flite, with its clips kept."""

    name = "teacher"

    def __init__(self) -> None:
        self._clips: dict[tuple[str, str], Spoken] = {}

    def speak(self, item: Item, preset: str, seed: int = 0) -> Spoken:
        """Speak with the flite voice of the preset; the seed has no say."""
        key = (item.spoken, preset)
        if key not in self._clips:
            self._clips[key] = self.speak_aside(item.spoken, preset)
        return self._clips[key]

    def speak_aside(self, text: str, preset: str) -> Spoken:
        """Speak a text without keeping the clip."""
        started = time.perf_counter()
        waveform = speak(text, teacher_of(preset))
        return Spoken(waveform, SAMPLE_RATE, wall_s=time.perf_counter() - started)


class ModelSystem:
    """A Bark and its presets, with the codes of its clips kept."""

    name = "model"

    def __init__(self, bark: Bark, params: GenerationParams | None = None) -> None:
        self.bark = bark
        self.params = (params or GenerationParams()).resolve(bark.default_params)
        self._codes: dict[tuple[str, str, int], Codes] = {}

    @property
    def n_coarse(self) -> int:
        """Codebooks of the coarse stage."""
        return self.bark.config.coarse_rules.n_codebooks

    def speak(self, item: Item, preset: str, seed: int) -> Spoken:
        """Generate; a text that the model refuses, or says nothing for, gives an empty clip."""
        started = time.perf_counter()
        try:
            clip = self.bark.generate(item.text, voice=preset, seed=seed, params=self.params)
        except TextError as error:
            n_codebooks = self.bark.config.fine_rules.n_codebooks
            self._codes[item.text, preset, seed] = np.zeros((n_codebooks, 0), np.int64)
            return self._nothing(f"error: {error}")
        self._codes[item.text, preset, seed] = clip.tokens.fine
        return Spoken(
            clip.waveform,
            clip.sample_rate,
            str(clip.stop_reason),
            clip.stop_reason in (StopReason.MAX_TOKENS, StopReason.MAX_SECONDS),
            time.perf_counter() - started,
        )

    def codes(self, item: Item, preset: str, seed: int) -> Codes:
        """Codes ``[K, F]`` of a clip, made now if it was not yet; no frames if nothing was said."""
        key = (item.text, preset, seed)
        if key not in self._codes:
            self.speak(item, preset, seed)
        return self._codes[key]

    def encode(self, clip: Spoken) -> Codes:
        """Codes ``[K, F]`` of a clip."""
        rate = self.bark.sample_rate
        waveform = resample(clip.waveform, clip.sample_rate, rate).astype(np.float32)
        n_codebooks = self.bark.config.fine_rules.n_codebooks
        return self.bark.backend.codec_encode(waveform, n_codebooks)

    def decode(self, codes: Codes) -> Spoken:
        """Audio of codes ``[k, F]``."""
        if codes.shape[1] == 0:
            return self._nothing("error: no codes")
        return Spoken(self.bark.backend.codec_decode(codes), self.bark.sample_rate)

    def fill(self, coarse: Codes, preset: str, seed: int) -> Codes:
        """Codes ``[K, F]``: the coarse ones as given, the rest by the fine stage after the preset."""
        voice = self.bark.find_voice(preset)
        request = Request(np.zeros(0, np.int64), self.params, seed, voice)
        return run_fine(self.bark.backend, request, coarse)

    def preset_clip(self, preset: str) -> Spoken:
        """The preset's own prompt as audio."""
        voice = self.bark.find_voice(preset)
        if voice is None:
            raise ParamError(f"no preset {preset!r} to listen to")
        return self.decode(voice.fine)

    def _nothing(self, reason: str) -> Spoken:
        return Spoken(np.zeros(0, np.float32), self.bark.sample_rate, reason, True)


class PartSystem:
    """Part of the model, fed by the teacher or by the model; see `PARTS`."""

    def __init__(self, name: str, model: ModelSystem, teacher: TeacherSystem) -> None:
        if name not in PARTS:
            raise ParamError(f"no system {name!r}; choose from {', '.join(PARTS)}")
        self.name = name
        self._model = model
        self._teacher = teacher

    def speak(self, item: Item, preset: str, seed: int) -> Spoken:
        """Speak an item through the part."""
        model = self._model
        if self.name == "model-coarse":
            return model.decode(model.codes(item, preset, seed)[: model.n_coarse])
        codes = model.encode(self._teacher.speak(item, preset))
        if self.name == "codec-coarse":
            codes = codes[: model.n_coarse]
        elif self.name == "true-coarse":
            codes = model.fill(codes[: model.n_coarse], preset, seed)
        return model.decode(codes)


def make_part(name: str, systems: Sequence[System]) -> PartSystem:
    """A part of the model among the systems."""
    model = next(system for system in systems if isinstance(system, ModelSystem))
    teacher = next(system for system in systems if isinstance(system, TeacherSystem))
    return PartSystem(name, model, teacher)
