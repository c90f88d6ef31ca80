"""Whose voice a piece continues from: the policies of long speech, from the rules of history prompts (docs/parity.md S31, S37, S38).

A stage reads only the end of a history, each its own length of it. A hybrid puts the end of the piece before
behind the given voice, short enough that every stage still sees both. Knows no text.
"""

from __future__ import annotations

import math

import numpy as np

from openbark.config import BarkConfig
from openbark.errors import VoiceError
from openbark.longform.options import LongFormOptions
from openbark.types import Tokens
from openbark.voices.voice import Voice

_SHARE_OF_WINDOW = 0.4


def waits_for(options: LongFormOptions, ordinal: int, has_voice: bool) -> int | None:
    """Which piece of the same role (by its ordinal) must be spoken before this one can begin; None for none.

    Without a voice given, the first piece makes the one that all others hold on to.
    """
    if ordinal == 0:
        return None
    if options.policy == "chain":
        return ordinal - 1
    starts_anew = options.policy == "anchor" or ordinal % options.anchor_every == 0
    if starts_anew:
        return None if has_voice else 0
    return ordinal - 1


def spoken_voice(
    semantic: Tokens, coarse: Tokens, fine: Tokens, seconds: float, config: BarkConfig
) -> Voice | None:
    """A voice of the first `seconds` of some speech; None where that is too short to be one."""
    n_semantic = min(len(semantic), math.ceil(seconds * config.semantic_rules.rate_hz))
    n_frames = min(fine.shape[1], round(n_semantic * config.frames_per_semantic))
    if n_semantic == 0 or n_frames == 0:
        return None
    voice = Voice(semantic[:n_semantic], coarse[:, :n_frames], fine[:, :n_frames])
    try:
        voice.validate(config)
    except VoiceError:
        return None
    return voice


def blended_voice(anchor: Voice, previous: Voice, config: BarkConfig) -> Voice:
    """`anchor`, then the end of `previous`: 0.4 of the shortest stretch of history that a stage sees."""
    rules = config.coarse_rules
    semantic_seconds = config.semantic_rules.max_text_tokens / config.semantic_rules.rate_hz
    coarse_seconds = rules.max_history / rules.n_codebooks / rules.rate_hz
    fine_seconds = config.fine_rules.max_history / rules.rate_hz
    seconds = _SHARE_OF_WINDOW * min(semantic_seconds, coarse_seconds, fine_seconds)
    n_semantic = min(len(previous.semantic), int(seconds * config.semantic_rules.rate_hz))
    n_frames = min(previous.n_frames, round(n_semantic * config.frames_per_semantic))
    if n_semantic == 0 or n_frames == 0:
        return anchor
    return Voice(
        semantic=np.concatenate([anchor.semantic, previous.semantic[-n_semantic:]]),
        coarse=np.concatenate([anchor.coarse, previous.coarse[:, -n_frames:]], axis=1),
        fine=np.concatenate([anchor.fine, previous.fine[:, -n_frames:]], axis=1),
        name=anchor.name,
    )
