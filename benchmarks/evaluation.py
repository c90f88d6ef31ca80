"""One system through every check: words, prompts, lengths and levels, speaker, speed.

Knows what is measured and of whom; not the command line nor the card.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clip_checks import check_clip, summarise_checks
from benchmarks.codec_check import compare_with_original
from benchmarks.listening import (
    LANGUAGE_MODELS,
    Heard,
    Listener,
    compare_word_errors,
    summarise_prompts,
    summarise_word_errors,
)
from benchmarks.speaker_check import similarity_matrix
from benchmarks.speaker_similarity import SpeakerMeasure
from benchmarks.systems import ModelSystem, PartSystem, Spoken, System, TeacherSystem
from benchmarks.teacher import Item, Material
from benchmarks.word_errors import Score
from openbark.audio import write_audio

__all__ = ["Evaluation", "Evaluator"]

_SEEDS_PER_PRESET = 100_000


@dataclass
class Evaluation:
    """Everything found out about one system."""

    name: str
    summary: dict[str, Any]
    sentences: Mapping[str, Sequence[Spoken]]
    heard: Mapping[str, Sequence[Mapping[str, Heard]]] = field(repr=False)

    def scores(self, language_model: str) -> dict[str, list[Score]]:
        """Word scores by preset and sentence."""
        return {
            preset: [found[language_model].score for found in row]
            for preset, row in self.heard.items()
        }


class Evaluator:
    """Measures systems on one material with the same listener, teacher and seeds."""

    def __init__(
        self,
        material: Material,
        listener: Listener,
        measure: SpeakerMeasure,
        teacher: TeacherSystem,
        presets: Sequence[str],
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self._material = material
        self._listener = listener
        self._measure = measure
        self._teacher = teacher
        self._presets = presets
        self._seed = seed
        self._say = say

    def evaluate(self, system: System, *, extra_metrics: bool = False) -> Evaluation:
        """Speak and judge every sentence and prompt in every voice."""
        sentences = self._speak(system, self._material.sentences, "sentences")
        prompts = self._speak(system, self._material.prompts, "prompts")
        heard = self._listen(system.name, sentences)
        phrases = {
            preset: [self._listener.prompt(clip.waveform, clip.sample_rate) for clip in row]
            for preset, row in prompts.items()
        }
        result = Evaluation(system.name, {}, sentences, heard)
        result.summary = {
            "wer": {name: summarise_word_errors(result.scores(name)) for name in LANGUAGE_MODELS},
            "prompts_right": summarise_prompts(
                [item.words for item in self._material.prompts], phrases
            ),
            "sentence_clips": self._check(sentences, self._material.sentences),
            "prompt_clips": self._check(prompts, self._material.prompts),
            "speaker": similarity_matrix(self._measure, sentences),
            "speed": _speed(sentences),
        }
        if isinstance(system, PartSystem) and system.name != "model-coarse":
            result.summary["against_original"] = compare_with_original(
                [
                    self._teacher.speak(i, p)
                    for p in self._presets
                    for i in self._material.sentences
                ],
                [clip for row in sentences.values() for clip in row],
                extra_metrics=extra_metrics,
            )
        return result

    def add_word_gap(self, result: Evaluation, reference: Evaluation) -> None:
        """Add by how much the word error rates exceed those of the reference."""
        result.summary["wer_above_teacher"] = {
            name: compare_word_errors(result.scores(name), reference.scores(name))
            for name in LANGUAGE_MODELS
        }

    def add_likeness_to_presets(self, result: Evaluation, model: ModelSystem) -> None:
        """Add the speaker similarity of the clips to the presets' own prompts."""
        prompts = {preset: model.preset_clip(preset) for preset in self._presets}
        measure = self._measure.with_references(
            {name: [(clip.waveform, clip.sample_rate)] for name, clip in prompts.items()}
        )
        result.summary["speaker_to_preset_prompts"] = similarity_matrix(measure, result.sentences)

    def save(self, result: Evaluation, folder: Path) -> None:
        """Write the sentences' clips, and what was heard, for people to listen and read."""
        folder.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        for preset, row in result.sentences.items():
            for index, clip in enumerate(row):
                name = f"{result.name}-{preset}-{index:02d}.wav"
                if len(clip.waveform):
                    write_audio(folder / name, clip.waveform, clip.sample_rate)
                lines.append(json.dumps(self._line(result, preset, index, name)))
        (folder / f"{result.name}.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")

    def _line(self, result: Evaluation, preset: str, index: int, name: str) -> dict[str, Any]:
        heard = result.heard[preset][index]
        return {
            "file": name,
            "preset": preset,
            "text": self._material.sentences[index].text,
            "seed": self._seed_of(preset, index),
            "stop_reason": result.sentences[preset][index].stop_reason,
            **{f"heard_{key}": " ".join(found.words) for key, found in heard.items()},
            **{f"errors_{key}": found.score.errors for key, found in heard.items()},
        }

    def _seed_of(self, preset: str, index: int) -> int:
        return self._seed + _SEEDS_PER_PRESET * self._presets.index(preset) + index

    def _speak(self, system: System, items: Sequence[Item], what: str) -> dict[str, list[Spoken]]:
        clips: dict[str, list[Spoken]] = {}
        for preset in self._presets:
            clips[preset] = [
                system.speak(item, preset, self._seed_of(preset, index))
                for index, item in enumerate(items)
            ]
            self._say(f"{system.name} spoke {len(items)} {what} as {preset}")
        return clips

    def _listen(
        self, name: str, sentences: Mapping[str, Sequence[Spoken]]
    ) -> dict[str, list[dict[str, Heard]]]:
        heard: dict[str, list[dict[str, Heard]]] = {}
        for preset, row in sentences.items():
            heard[preset] = [
                self._listener.sentence(index, clip.waveform, clip.sample_rate)
                for index, clip in enumerate(row)
            ]
            self._say(f"listened to {name} as {preset}")
        return heard

    def _check(
        self, clips: Mapping[str, Sequence[Spoken]], items: Sequence[Item]
    ) -> dict[str, Any]:
        checks = []
        for preset, row in clips.items():
            for item, clip in zip(items, row, strict=True):
                original = self._teacher.speak(item, preset)
                checks.append(
                    check_clip(
                        clip.waveform,
                        clip.sample_rate,
                        original.waveform,
                        original.sample_rate,
                        stopped_at_limit=clip.stopped_at_limit,
                    )
                )
        return summarise_checks(checks)


def _speed(sentences: Mapping[str, Sequence[Spoken]]) -> dict[str, float]:
    clips = [clip for row in sentences.values() for clip in row]
    audio_s = float(np.sum([len(clip.waveform) / clip.sample_rate for clip in clips]))
    wall_s = float(np.sum([clip.wall_s for clip in clips]))
    return {"audio_s": audio_s, "wall_s": wall_s, "rtf": wall_s / max(audio_s, 1e-9)}
