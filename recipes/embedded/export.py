"""Assemble the embedded model: checkpoint folder, preset voices, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.save import save_checkpoint
from openbark.config import BarkConfig
from openbark.errors import TrainingError
from openbark.params import GenerationParams
from openbark.training.data import Utterance
from openbark.voices.voice import Voice
from recipes.embedded.config import character_tokenizer_json

PRESET_SECONDS = (2.4, 3.6)
"""Length of the utterance a preset is made of: longer than both history windows, short enough to be one sentence."""

ORIGINS = {
    "slt": "flite voice slt (CMU ARCTIC, US English, female)",
    "rms": "flite voice rms (CMU ARCTIC, US English, male)",
    "awb": "flite voice awb (CMU ARCTIC, Scottish English, male)",
    "kal16": "flite voice kal16 (diphones, US English, male)",
}


@dataclass(frozen=True)
class Preset:
    """A voice to ship: the corpus speaker it is made of, its file name, and what is said of it."""

    speaker: str
    name: str
    description: str


def preset_utterance(
    utterances: Sequence[Utterance], speaker: str, config: BarkConfig
) -> Utterance:
    """The training utterance a speaker's preset is made of: the first plain sentence of fitting length, or the
    longest utterance there is."""
    own = [
        u
        for u in utterances
        if u.speaker == speaker and u.semantic is not None and u.codes is not None
    ]
    if not own:
        raise TrainingError(
            f"no utterance of speaker {speaker!r} has tokens; cannot make its preset"
        )
    low, high = (round(seconds * config.semantic_rules.rate_hz) for seconds in PRESET_SECONDS)
    for utterance in own:
        n_tokens = 0 if utterance.semantic is None else len(utterance.semantic)
        if low <= n_tokens <= high and utterance.text.endswith(".") and "[" not in utterance.text:
            return utterance
    return max(own, key=lambda u: 0 if u.semantic is None else len(u.semantic))


def export_embedded(
    output: Path,
    config: BarkConfig,
    tensors: Mapping[str, NDArray[Any]],
    defaults: GenerationParams,
    utterances: Sequence[Utterance],
    presets: Sequence[Preset],
) -> None:
    """Write the checkpoint in float16 and one voice per preset beside it."""
    save_checkpoint(
        output,
        config,
        dict(tensors),
        defaults,
        character_tokenizer_json(),
        dtype="float16",
        overwrite=True,
    )
    (output / "voices").mkdir(exist_ok=True)
    n_coarse = config.coarse_rules.n_codebooks
    for preset in presets:
        utterance = preset_utterance(utterances, preset.speaker, config)
        if utterance.semantic is None or utterance.codes is None:
            raise TypeError("preset_utterance returns utterances with tokens only")
        codes = utterance.codes.astype(np.int64)
        voice = Voice(
            semantic=utterance.semantic.astype(np.int64),
            coarse=codes[:n_coarse],
            fine=codes,
            name=preset.name,
            metadata={
                "language": "en",
                "origin": ORIGINS.get(preset.speaker, preset.speaker),
                "description": preset.description,
                "text": utterance.text,
                "licence": "synthetic speech, free to use; see docs/embedded-model.md",
            },
        )
        voice.validate(config)
        voice.save(output / "voices" / f"{preset.name}.npz")
