"""What every contestant of a benchmark is given: the same model, prompt, history and number of tokens.

Plain values, so that a child process makes the very same thing again. Knows no contestant.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openbark.backends.native.library import usable_threads
from openbark.checkpoints.checkpoint import Checkpoint, open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.find import find_checkpoint
from openbark.checkpoints.random import checkpoint_of_random_weights
from openbark.config import BarkConfig
from openbark.errors import ParamError
from openbark.stages.coarse import with_coarse_window
from openbark.voices.library import library_of
from openbark.voices.voice import Voice

SHAPES = ("shape:tiny", "shape:small", "shape:large")
"""Sizes with random weights: for tests, and as published by Suno."""

SYNTHETIC_VOICE = "synthetic"
"""A random history, as long as that of Suno's v2/en_speaker_6."""

NO_VOICE = "none"

_SEMANTIC_HISTORY = 309
_FRAMES_OF_HISTORY = 464
_TEXT_TOKENS = 20


@dataclass(frozen=True, slots=True)
class Workload:
    """One clip. model: one of SHAPES, "embedded" or a folder; window: "stock" or "wide", for OpenBark only;
    threads: None takes all cores; more than there are cores are reduced to them."""

    model: str = "shape:small"
    seconds: float = 10.0
    voice: str = SYNTHETIC_VOICE
    window: str = "stock"
    threads: int | None = None

    def __post_init__(self) -> None:
        """The same number for every contestant. Raises ParamError."""
        object.__setattr__(self, "threads", usable_threads(self.threads))

    def n_semantic(self, config: BarkConfig) -> int:
        """Semantic tokens to draw. Raises ParamError for more than one call of the model makes."""
        count = round(self.seconds * config.semantic_rules.rate_hz)
        most = config.semantic_rules.max_new_tokens
        if not 1 <= count <= most:
            raise ParamError(
                f"--seconds {self.seconds:g} is {count} semantic tokens; allowed for this model: "
                f"1 to {most} ({config.max_seconds:.1f} s)"
            )
        return count


def model_config(model: str) -> BarkConfig:
    """Sizes and rules of a workload's model. Raises CheckpointError, ParamError for an unknown shape."""
    if not model.startswith("shape:"):
        return open_checkpoint(find_checkpoint(model), need_tokenizer=False).config
    if model == "shape:tiny":
        return BarkConfig.tiny()
    small = BarkConfig(name="bark-small")
    if model == "shape:small":
        return small
    if model != "shape:large":
        raise ParamError(
            f"--model is {model!r}; allowed: {', '.join(SHAPES)}, embedded, or a folder"
        )
    return replace(
        small,
        name="bark",
        semantic=replace(small.semantic, n_layer=24, n_head=16, n_embd=1024),
        coarse=replace(small.coarse, n_layer=24, n_head=16, n_embd=1024),
        fine=replace(small.fine, n_layer=24, n_head=16, n_embd=1024),
    )


def load_model(workload: Workload, window: str | None = None) -> Checkpoint:
    """The weights, random or from files; coarse windows as the checkpoint's own unless `window` says more."""
    if workload.model.startswith("shape:"):
        checkpoint = checkpoint_of_random_weights(model_config(workload.model))
    else:
        opened = open_checkpoint(find_checkpoint(workload.model), need_tokenizer=False)
        checkpoint = ready_checkpoint(opened, partial(print, file=sys.stderr, flush=True))
    return replace(checkpoint, config=with_coarse_window(checkpoint.config, window))


def text_ids(config: BarkConfig) -> NDArray[np.int64]:
    """Tokenizer ids of a text [N]; what they spell does not matter."""
    rules = config.semantic_rules
    n_ids = config.semantic.input_vocab_size - rules.text_encoding_offset
    count = min(_TEXT_TOKENS, rules.max_text_tokens)
    return np.arange(1, count + 1, dtype=np.int64) % min(n_ids, rules.text_pad_token)


def history_of(workload: Workload, config: BarkConfig) -> Voice | None:
    """The voice asked for. Raises VoiceError when there is no such file or name."""
    if workload.voice == NO_VOICE:
        return None
    if workload.voice != SYNTHETIC_VOICE:
        folder = Path()
        if not workload.model.startswith("shape:"):
            folder = find_checkpoint(workload.model)
        voice = library_of(folder).get(workload.voice)
        voice.validate(config)
        return voice
    generator = np.random.default_rng(0)
    size, k = config.codebook_size, config.coarse_rules.n_codebooks
    fine = generator.integers(0, size, (config.fine_rules.n_codebooks, _FRAMES_OF_HISTORY))
    semantic = generator.integers(0, config.semantic_rules.semantic_vocab_size, _SEMANTIC_HISTORY)
    return Voice(semantic, fine[:k], fine, name=SYNTHETIC_VOICE)
