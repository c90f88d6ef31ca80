"""`generate_audio_long` and `generate_audio_barki`: many segments, one clip (docs/parity.md I2, I3).

Texts become prompts, prompts become segments, each segment continues from the voice that
`stable_mode_interval` and the history weights give it. Knows no command line.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.api import Bark
from openbark.compat.infinity.clip_files import write_clip
from openbark.compat.infinity.loading import loaded_bark
from openbark.compat.infinity.options import resolve
from openbark.compat.infinity.seeds import seed_source, set_seed
from openbark.compat.infinity.segments import (
    Segment,
    StageSeeds,
    fitting,
    generation_params,
    mixed_voice,
    speak,
    windowed_config,
)
from openbark.compat.infinity.speakers import find_speaker
from openbark.compat.infinity.text_processing import (
    load_text,
    split_general_purpose_hm,
    split_text,
)
from openbark.config import BarkConfig
from openbark.errors import ParamError, TextError
from openbark.types import Progress
from openbark.voices.voice import Voice, VoiceLike

_STAGES = ("semantic", "coarse", "fine")


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


def spoken(
    bark: Bark,
    prompt: str,
    given: Mapping[str, Any],
    progress: Progress | None = None,
    tell: Callable[[Segment], None] | None = None,
) -> list[Segment]:
    """Speak one prompt, segment by segment; `tell` hears of each. Raises InputError."""
    values = resolve(given)
    params = generation_params(values, bark.default_params)
    config = windowed_config(bark.config, values)
    source = seed_source(values)
    base = find_speaker(values["history_prompt"], bark)
    previous: Voice | None = None
    segments: list[Segment] = []
    texts = [piece for part in plan_segments(prompt, values) for piece in fitting(part, bark)]
    for index, text in enumerate(texts):
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


def generate_audio_barki(
    text: str, bark: Bark | None = None, history_prompt: VoiceLike | None = None, **options: Any
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]:
    """One segment: Suno's dictionary of three arrays, and the waveform [L] (I3)."""
    values = resolve(options)
    speaker = bark or loaded_bark(values)
    voice = find_speaker(history_prompt, speaker)
    seed = seed_source(values).of_segment(0)
    seeds = StageSeeds(*(_stage_seed(values, stage, seed) for stage in _STAGES))
    config = windowed_config(speaker.config, values)
    voices = _histories(values, 0, voice, None, config)
    segment = speak(
        speaker, text, voices, seeds, generation_params(values, speaker.default_params), config
    )
    return _arrays(segment.voice), segment.waveform


def generate_audio_long(
    text_prompt: str | None = None, bark: Bark | None = None, **options: Any
) -> tuple[list[dict[str, NDArray[np.int64]]], list[NDArray[np.float32]], str, list[str]]:
    """Speak a prompt of any length and write its files (I2).

    Returns the arrays of every segment, their waveforms, the path of the audio file, and an empty list in the
    place of upstream's clones. options: see `options.OPTIONS`. bark: a loaded model; None takes the one that
    Suno's names use (`loading.loaded_bark`).
    """
    given = {**options, "text_prompt": text_prompt}
    prompt = "\n".join(prompts_of(given))
    speaker = bark or loaded_bark(resolve(given))
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
