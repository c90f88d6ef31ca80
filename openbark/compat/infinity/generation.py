"""`generate_audio_long` and `generate_audio_barki`: many segments, one clip (parity I2-I4).

Texts become prompts, prompts become segments, each segment continues from the voice that
`stable_mode_interval` and the history weights give it. Knows no command line.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.api import Bark, VoiceLike
from openbark.audio import write_audio
from openbark.compat.infinity.options import resolve
from openbark.compat.infinity.segments import (
    Segment,
    StageSeeds,
    generation_params,
    mixed_voice,
    speak,
    windowed_config,
)
from openbark.compat.infinity.text_processing import (
    load_text,
    split_general_purpose_hm,
    split_text,
)
from openbark.config import BarkConfig
from openbark.engine.request import Progress
from openbark.errors import AudioError, ParamError, TextError
from openbark.params import MAX_SEED
from openbark.voices.voice import Voice

__all__ = [
    "SeedSource",
    "Written",
    "file_stem",
    "generate_audio_barki",
    "generate_audio_long",
    "joined",
    "output_folder",
    "plan_segments",
    "prompts_of",
    "set_seed",
    "spoken",
    "whole_voice",
    "write_clip",
]

_MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class SeedSource:
    """Seeds of segments, in place of the process-wide seeding of upstream's `set_seed` (I4)."""

    seed: int
    step: int = 0

    def of_segment(self, index: int) -> int:
        """Seed of the segment number `index`."""
        return (self.seed + index * self.step) % (MAX_SEED + 1)


def set_seed(seed: int = 0) -> SeedSource:
    """A source that gives every segment this seed; 0 and -1 draw a random one.

    Upstream seeds numpy, random and torch for the whole process and switches torch's algorithms; here nothing
    outside the returned object changes: hand its numbers to `seed=`.
    """
    return SeedSource(secrets.randbits(32) if seed in (0, -1) else _checked_seed(seed))


def _checked_seed(seed: int) -> int:
    if not 0 <= seed <= MAX_SEED:
        raise ParamError(f"seed is {seed}; legal: 1..{MAX_SEED}, or 0 and -1 for a random one")
    return seed


def _seed_source(values: Mapping[str, Any]) -> SeedSource:
    if values["single_starting_seed"] is not None:
        if values["seed"] is not None:
            raise ParamError("give seed or single_starting_seed, one of them")
        return SeedSource(set_seed(values["single_starting_seed"]).seed, 1)
    if values["seed"] is not None:
        return set_seed(values["seed"])
    return SeedSource(secrets.randbits(32), 1)


def prompts_of(given: Mapping[str, Any]) -> list[str]:
    """The prompts that the options name. Raises TextError without any, ParamError for both sources."""
    values = resolve(given)
    text, file = values["text_prompt"], values["prompt_file"]
    if (text is None) == (file is None):
        raise TextError("give text_prompt or prompt_file, one of them")
    kind = values["split_input_into_separate_prompts_by"]
    if text is not None:
        if kind is not None:
            raise ParamError("split_input_into_separate_prompts_by belongs to prompt_file")
        return [str(text)]
    value = values["split_input_into_separate_prompts_by_value"] or values["split_type_string"]
    prompts = split_text(load_text(file), kind, value, values["seed"])
    if not prompts:
        raise TextError(f"{file} holds no text")
    return prompts


def plan_segments(prompt: str, given: Mapping[str, Any]) -> list[str]:
    """The segments of one prompt, as they will be spoken. Raises TextError for a prompt without words."""
    values = resolve(given)
    kind, value = values["split_each_text_prompt_by"], values["split_each_text_prompt_by_value"]
    if kind is not None:
        parts = split_text(prompt, kind, value or values["split_type_string"], values["seed"])
    else:
        jitter = values["split_character_jitter"]
        shift = random.Random(values["seed"]).randint(-jitter, jitter) if jitter else 0
        goal = max(1, values["split_character_goal_length"] + shift)
        most = max(goal, values["split_character_max_length"] + shift)
        parts = split_general_purpose_hm(
            prompt,
            values["process_text_by_each"],
            values["group_text_by_counting"],
            values["in_groups_of_size"],
            goal,
            most,
        )
    if not parts:
        raise TextError("the prompt holds no text; write at least one word")
    prefix, suffix = values["prompt_text_prefix"] or "", values["prompt_text_suffix"] or ""
    return [f"{prefix} {part} {suffix}".strip() for part in parts]


@dataclass(frozen=True)
class Written:
    """Files of one clip: the audio, its voice, and with hoarder_mode those of each segment."""

    audio: Path
    voice: Path | None
    segments: tuple[Path, ...] = ()


def spoken(
    bark: Bark,
    prompt: str,
    given: Mapping[str, Any],
    progress: Progress | None = None,
    tell: Callable[[Segment], None] | None = None,
) -> list[Segment]:
    """Speak one prompt, segment by segment; `tell` hears of each. Raises InputError."""
    values = resolve(given)
    params = generation_params(values)
    config = windowed_config(bark.config, values)
    source = _seed_source(values)
    base = bark.find_voice(values["history_prompt"])
    previous: Voice | None = None
    segments: list[Segment] = []
    for index, text in enumerate(plan_segments(prompt, values)):
        seed = source.of_segment(index)
        seeds = StageSeeds(*(_stage_seed(values, stage, seed) for stage in _STAGES))
        continued = None if _starts_over(values, index) else previous
        voices = _histories(values, index, base, continued, config)
        segment = speak(bark, text, voices, seeds, params, config, progress)
        segments.append(segment)
        previous = segment.voice
        if base is None and not values["separate_prompts"]:
            # Without a voice, the first segment is what later ones return to.
            base = segment.voice
        if tell is not None:
            tell(segment)
    return segments


_STAGES = ("semantic", "coarse", "fine")


def _stage_seed(values: Mapping[str, Any], stage: str, seed: int) -> int:
    own = values[f"{stage}_seed"]
    return seed if own is None else set_seed(own).seed


def _starts_over(values: Mapping[str, Any], index: int) -> bool:
    if values["separate_prompts"]:
        return True
    interval = values["stable_mode_interval"]
    return bool(interval and index % interval == 0)


def _histories(
    values: Mapping[str, Any],
    index: int,
    base: Voice | None,
    previous: Voice | None,
    config: BarkConfig,
) -> dict[str, Voice | None]:
    """The voice that each stage continues from."""
    voices: dict[str, Voice | None] = {}
    for stage in _STAGES:
        start = values[f"{stage}_history_starting_weight"]
        before = values[f"{stage}_prev_segment_weight"]
        if start is None and before is None:
            voices[stage] = base if previous is None else previous
        else:
            weights = (0.0 if start is None else start, 0.0 if before is None else before)
            voices[stage] = mixed_voice(base, previous, weights, config)
    limit = values["semantic_history_oversize_limit"]
    semantic = voices["semantic"]
    if limit is not None and semantic is not None:
        voices["semantic"] = Voice(semantic.semantic[-limit:], semantic.coarse, semantic.fine)
    every = values["absolute_semantic_history_only_every_x"]
    if values["absolute_semantic_history_only"] or (every and index % every == 0):
        voices["coarse"] = voices["fine"] = None
    return voices


def joined(
    segments: Sequence[Segment], silence_seconds: float, sample_rate: int
) -> NDArray[np.float32]:
    """One waveform, with silence after each segment, the last included (as upstream)."""
    silence = np.zeros(round(silence_seconds * sample_rate), dtype=np.float32)
    return np.concatenate([piece for one in segments for piece in (one.waveform, silence)])


def whole_voice(segments: Sequence[Segment]) -> Voice:
    """What is saved beside a clip: the voice of its first segment (I2)."""
    return segments[0].voice


def file_stem(text: str, voice: str | None, moment: datetime) -> str:
    """`text-date-SPK-voice`, as upstream names its files."""
    words = re.sub(r"[^\w]+", "_", text).strip("_")[:_MAX_NAME] or "clip"
    speaker = re.sub(r"[^\w]+", "_", Path(voice).stem if voice else "random").strip("_")
    return f"{words}-{moment:%y-%m-%d-%H%M}-SPK-{speaker}"


def _free(folder: Path, stem: str, suffix: str) -> Path:
    path, number = folder / f"{stem}.{suffix}", 1
    while path.exists():
        path = folder / f"{stem}_{number}.{suffix}"
        number += 1
    return path


def output_folder(values: Mapping[str, Any]) -> Path:
    """`output_dir`, made if need be. Raises AudioError."""
    folder = Path(values["output_dir"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder


def write_clip(
    segments: Sequence[Segment], prompt: str, given: Mapping[str, Any], sample_rate: int
) -> Written:
    """Write the clip, its voice, and with `hoarder_mode` each segment of several. Nothing is overwritten.

    Raises AudioError or VoiceError.
    """
    values = resolve(given)
    folder = output_folder(values)
    suffix = values["output_format"]
    name = values["output_filename"]
    if name is not None:
        stem = Path(name).name.removesuffix(f".{suffix}")
    else:
        stem = file_stem(prompt, values["history_prompt"], datetime.now())
    audio = _free(folder, stem, suffix)
    waveform = joined(segments, values["add_silence_between_segments"], sample_rate)
    write_audio(audio, waveform, sample_rate, suffix)
    voice = None
    if values["always_save_speaker"]:
        voice = audio.with_name(f"{audio.name}.npz")
        whole_voice(segments).save(voice)
    pieces = []
    if values["hoarder_mode"] and len(segments) > 1:
        for index, segment in enumerate(segments):
            piece = audio.with_name(f"{audio.stem}_segment_{index + 1}.{suffix}")
            write_audio(piece, segment.waveform, sample_rate, suffix)
            segment.voice.save(piece.with_name(f"{piece.name}.npz"))
            pieces.append(piece)
    return Written(audio, voice, tuple(pieces))


def generate_audio_barki(
    text: str, bark: Bark | None = None, history_prompt: VoiceLike | None = None, **options: Any
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]:
    """One segment: Suno's dictionary of three arrays, and the waveform [L] (I3)."""
    speaker = bark or Bark.load()
    values = resolve(options)
    voice = speaker.find_voice(history_prompt)
    seed = _seed_source(values).of_segment(0)
    seeds = StageSeeds(*(_stage_seed(values, stage, seed) for stage in _STAGES))
    config = windowed_config(speaker.config, values)
    voices = _histories(values, 0, voice, None, config)
    segment = speak(speaker, text, voices, seeds, generation_params(values), config)
    return _arrays(segment.voice), segment.waveform


def generate_audio_long(
    text_prompt: str | None = None, bark: Bark | None = None, **options: Any
) -> tuple[list[dict[str, NDArray[np.int64]]], list[NDArray[np.float32]], str, list[str]]:
    """Speak a prompt of any length and write its files (I2).

    Returns the arrays of every segment, their waveforms, the path of the audio file, and an empty list in the
    place of upstream's clones. options: see `options.OPTIONS`. bark: a loaded model; None loads the embedded.
    """
    speaker = bark or Bark.load()
    given = {**options, "text_prompt": text_prompt}
    prompt = "\n".join(prompts_of(given))
    segments = spoken(speaker, prompt, given)
    written = write_clip(segments, prompt, given, speaker.sample_rate)
    arrays = [_arrays(segment.voice) for segment in segments]
    return arrays, [segment.waveform for segment in segments], str(written.audio), []


def _arrays(voice: Voice) -> dict[str, NDArray[np.int64]]:
    return {
        "semantic_prompt": voice.semantic.copy(),
        "coarse_prompt": voice.coarse.copy(),
        "fine_prompt": voice.fine.copy(),
    }
