"""One segment of a long clip: which voice each stage continues from, which seeds, and running the stages.

Each stage has its own seed and may have its own history (docs/migrating-infinity.md: semantic_seed, the history weights), so
the stages of `openbark.engine.cascade` are called one by one. Knows no files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.api import Bark
from openbark.backends.base import Backend, CausalSession
from openbark.compat.infinity.options import COARSE_WINDOWS
from openbark.compat.suno.defaults import given_or_own
from openbark.compat.suno.reading import readable_text
from openbark.config import BarkConfig
from openbark.engine.cascade import run_coarse, run_codec, run_fine, run_semantic
from openbark.engine.request import Request
from openbark.errors import CheckpointCorruptError, ParamError, TextError
from openbark.params import GenerationParams, SamplingParams
from openbark.stages.coarse import n_coarse_steps
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt, StopReason
from openbark.text.split.pieces import Budget, split_text
from openbark.types import Progress
from openbark.voices.voice import Voice


@dataclass(frozen=True)
class StageSeeds:
    """Seeds of the three stages of one segment."""

    semantic: int
    coarse: int
    fine: int


@dataclass(frozen=True, eq=False)
class Segment:
    """One spoken segment: its text, tokens as a voice, waveform [L], and its stop reason."""

    text: str
    voice: Voice
    waveform: NDArray[np.float32]
    seeds: StageSeeds
    stop_reason: StopReason
    seconds_spent: float


class _Windowed:
    """A backend whose coarse windows are other than its checkpoint's."""

    def __init__(self, backend: Backend, config: BarkConfig) -> None:
        self._backend = backend
        self.config = config

    @property
    def description(self) -> str:
        return self._backend.description

    @property
    def dtype(self) -> str:
        """As the model's."""
        return self._backend.dtype

    def session(self, stage: Stage) -> CausalSession:
        return self._backend.session(stage)

    def causal_logits(self, stage: Stage, prompt: Prompt) -> NDArray[np.floating]:
        return self._backend.causal_logits(stage, prompt)

    def fine_logits(self, codes: NDArray[np.int64], k: int) -> NDArray[np.floating]:
        return self._backend.fine_logits(codes, k)

    def codec_decode(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._backend.codec_decode(codes)

    def codec_encode(self, waveform: NDArray[np.float32], n_codebooks: int) -> NDArray[np.int64]:
        return self._backend.codec_encode(waveform, n_codebooks)


def windowed_config(config: BarkConfig, values: Mapping[str, Any]) -> BarkConfig:
    """The config with `coarse_max_coarse_history` and `coarse_sliding_window_len`; Suno's numbers leave the
    model's own. Raises ParamError."""
    rules = config.coarse_rules
    history = values["coarse_max_coarse_history"]
    window = values["coarse_sliding_window_len"]
    history = rules.max_history if history == COARSE_WINDOWS[0] else history
    window = rules.sliding_window if window == COARSE_WINDOWS[1] else window
    if not 1 <= window <= history:
        raise ParamError(
            f"coarse_sliding_window_len is {window}, coarse_max_coarse_history {history}; allowed: "
            "1 <= window <= history"
        )
    try:
        return replace(
            config, coarse_rules=replace(rules, max_history=history, sliding_window=window)
        )
    except CheckpointCorruptError as error:
        raise ParamError(
            f"coarse_max_coarse_history {history} and coarse_sliding_window_len {window} do not fit "
            f"this model: {error}"
        ) from error


def generation_params(values: Mapping[str, Any], own: GenerationParams) -> GenerationParams:
    """Sampling of the stages from the options; what was not given is the checkpoint's `own`. Raises ParamError
    naming the stage."""

    def stage(name: str, defaults: SamplingParams | None) -> SamplingParams:
        default = defaults or SamplingParams()
        stop_at = values.get(f"{name}_min_eos_p")
        try:
            return SamplingParams(
                temperature=given_or_own(values[f"{name}_temp"], default.temperature),
                top_k=values.get(f"{name}_top_k"),
                top_p=values.get(f"{name}_top_p"),
                min_eos_p=given_or_own(stop_at, default.min_eos_p),
            )
        except ParamError as error:
            raise ParamError(f"{name} {error}") from error

    return GenerationParams(
        semantic=stage("semantic", own.semantic),
        coarse=stage("coarse", own.coarse),
        fine=stage("fine", own.fine),
        max_semantic_seconds=values["semantic_max_gen_duration_s"],
        allow_early_stop=values["semantic_allow_early_stop"]
        and not values["confused_travolta_mode"],
    )


def fitting(text: str, bark: Bark) -> list[str]:
    """A segment's text, in as many pieces as the model needs to read all of it. Raises TextError."""
    encode, slots = bark.tokenizer.encode, bark.config.semantic_rules.max_text_tokens
    read = readable_text(text, bark)
    if len(encode(read)) <= slots:
        return [text]
    return [piece.text for piece in split_text(read, lambda part: len(encode(part)), Budget(slots))]


def mixed_voice(
    base: Voice | None, previous: Voice | None, weights: tuple[float, float], config: BarkConfig
) -> Voice | None:
    """The end of `base`, then the end of `previous`, in the proportion of the two weights.

    Together they are as long as the coarse stage can see; each part is cut in time, so that its three arrays
    stay aligned.
    """
    if base is None or previous is None:
        return base if previous is None else previous
    total = sum(weights)
    if total == 0:
        return None
    room = config.max_semantic_history
    n_first = round(room * weights[0] / total)
    first = _tail(base, n_first, config)
    second = _tail(previous, room - n_first, config)
    parts = [part for part in (first, second) if part is not None]
    if len(parts) < 2:
        return parts[0] if parts else None
    return Voice(
        semantic=np.concatenate([part.semantic for part in parts]),
        coarse=np.concatenate([part.coarse for part in parts], axis=1),
        fine=np.concatenate([part.fine for part in parts], axis=1),
    )


def _tail(voice: Voice, n_semantic: int, config: BarkConfig) -> Voice | None:
    n_semantic = min(n_semantic, len(voice.semantic))
    n_frames = math.floor(n_semantic * config.frames_per_semantic)
    if n_frames == 0:
        return None
    return Voice(
        voice.semantic[-n_semantic:], voice.coarse[:, -n_frames:], voice.fine[:, -n_frames:]
    )


def speak(
    bark: Bark,
    text: str,
    voices: Mapping[str, Voice | None],
    seeds: StageSeeds,
    params: GenerationParams,
    config: BarkConfig,
    progress: Progress | None = None,
) -> Segment:
    """Run the stages for one segment; `voices` has the history of "semantic", "coarse" and "fine".

    Raises TextError when the text does not fit, or the model ends before it begins.
    """
    started = time.perf_counter()
    tokens = bark.tokenizer.encode(readable_text(text, bark))
    backend = _Windowed(bark.backend, config)

    def request(stage: str, seed: int) -> Request:
        return Request(tokens, params, seed, voices[stage], progress=progress)

    semantic, reason = run_semantic(backend, request("semantic", seeds.semantic))
    if n_coarse_steps(len(semantic), config) == 0:
        raise TextError(
            f"the model ended before it said anything (seed {seeds.semantic}, {text!r}); try another "
            "seed, or a longer text"
        )
    coarse = run_coarse(backend, request("coarse", seeds.coarse), semantic)
    fine = run_fine(backend, request("fine", seeds.fine), coarse)
    waveform = run_codec(backend, request("fine", seeds.fine), fine)
    voice = Voice(semantic, coarse, fine, metadata={"text": text, "origin": "openbark infinity"})
    return Segment(text, voice, waveform, seeds, reason, time.perf_counter() - started)


def regrown(
    bark: Bark,
    voice: Voice,
    start_from: str,
    history: Voice | None,
    seed: int,
    params: GenerationParams,
) -> Voice:
    """A voice whose arrays up to `start_from` are kept and whose later ones are computed again (docs/parity.md I5).

    start_from: "semantic_prompt" keeps the semantic tokens, "coarse_prompt" the coarse codes too, any other
    all three. history: what the computed stages continue from. Raises VoiceError when the result is too short
    for a voice.
    """
    if start_from not in ("semantic_prompt", "coarse_prompt"):
        return voice
    request = Request(np.zeros(0, dtype=np.int64), params, seed, history)
    coarse = voice.coarse
    if start_from == "semantic_prompt":
        coarse = run_coarse(bark.backend, request, voice.semantic)
    fine = run_fine(bark.backend, request, coarse)
    metadata = {**voice.metadata, "made_from": f"{voice.name}: {start_from}"}
    made = Voice(voice.semantic, coarse, fine, voice.name, metadata)
    made.validate(bark.config)
    return made
