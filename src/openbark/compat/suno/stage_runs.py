"""Arguments of Suno's stage functions, checked, and the stages run with them (docs/parity.md S10-S13).

Knows no model cache: the Bark comes in. Draws come from torch's generator where the script has torch, so
that `torch.manual_seed` means what it means with Suno (B6, S33); else from noise of a random seed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.api import Bark
from openbark.compat.suno.reading import text_pieces
from openbark.config import BarkConfig, CoarseRules
from openbark.engine.cascade import run_coarse, run_fine, run_semantic
from openbark.engine.draws import Sampler
from openbark.engine.request import Request
from openbark.errors import ParamError, TextError
from openbark.params import GenerationParams, SamplingParams, check_seed
from openbark.progress import ProgressBar
from openbark.stages.coarse import n_coarse_steps
from openbark.stages.semantic import token_limit
from openbark.types import Progress, Tokens
from openbark.voices.voice import Voice

_MIN_HISTORY = 60


def stage_sampling(
    temp: float | None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_eos_p: float | None = None,
) -> SamplingParams:
    """Suno's numbers as SamplingParams; a `temp` of None or 0 is greedy. Raises ParamError."""
    return SamplingParams(
        temperature=_plain(0.0 if temp is None else temp),
        top_k=_plain(top_k),
        top_p=_plain(top_p),
        min_eos_p=_plain(min_eos_p),
    )


def _plain(value: Any) -> Any:
    """Python's number for one of numpy's."""
    return value.item() if isinstance(value, np.generic) else value


def run_semantic_stage(
    bark: Bark,
    device: str,
    text: str,
    voice: Voice | None,
    sampling: SamplingParams,
    max_seconds: float | None,
    allow_early_stop: bool,
    silent: bool,
) -> Tokens:
    """Semantic tokens [T], which may be none at all, as with Suno.

    Where the model has to read the text in pieces, a piece has the voice, or without one what was said before
    it, as its history; `max_seconds` holds for all of them together.
    """
    rules = bark.config.semantic_rules
    plain = GenerationParams(semantic=sampling, allow_early_stop=allow_early_stop)
    timed = replace(plain, max_semantic_seconds=max_seconds)
    most = token_limit(timed, replace(rules, max_new_tokens=sys.maxsize)).n_tokens
    said = np.zeros(0, dtype=np.int64)
    for tokens in text_pieces(text, bark):
        if len(said) >= most:
            break
        params = replace(plain, max_semantic_tokens=min(rules.max_new_tokens, most - len(said)))
        with _request(params, voice, device, silent, tokens) as request:
            drawn, _ = run_semantic(bark.backend, request, said if said.size else None)
        said = np.concatenate([said, drawn])
    return said


def run_coarse_stage(
    bark: Bark,
    device: str,
    semantic: Any,
    voice: Voice | None,
    sampling: SamplingParams,
    windows: tuple[int, int],
    silent: bool,
) -> Tokens:
    """Coarse codes [k, F]; `windows` are max_coarse_history and sliding_window_len.

    Raises TextError for too few semantic tokens (S42), ParamError for other arrays and windows.
    """
    config = bark.config
    tokens = _array("x_semantic", semantic, 1, config.semantic_rules.semantic_vocab_size)
    if n_coarse_steps(len(tokens), config) == 0:
        raise TextError(
            "the model ended before it said anything; try another seed, or a longer text"
        )
    with _request(GenerationParams(coarse=sampling), voice, device, silent) as request:
        return run_coarse(bark.backend, request, tokens, _windowed(config, *windows))


def run_fine_stage(
    bark: Bark,
    device: str,
    coarse: Any,
    voice: Voice | None,
    sampling: SamplingParams,
    silent: bool,
) -> Tokens:
    """Fine codes [K, F] from the first 1 to K - 1 codebooks. Raises ParamError for other arrays."""
    codes = _array("x_coarse_gen", coarse, 2, bark.config.codebook_size)
    n_codebooks = bark.config.fine_rules.n_codebooks
    if not 1 <= len(codes) < n_codebooks or codes.shape[1] == 0:
        raise ParamError(
            f"x_coarse_gen has shape {list(codes.shape)}; allowed: [1..{n_codebooks - 1}, T]"
        )
    with _request(GenerationParams(fine=sampling), voice, device, silent) as request:
        return run_fine(bark.backend, request, codes)


def run_codec_stage(bark: Bark, fine: Any) -> NDArray[np.float32]:
    """Waveform [L] of codes [K, F], any K the codec has (S13). Raises ParamError for other arrays."""
    codes = _array("fine_tokens", fine, 2, bark.config.codebook_size)
    most = bark.config.codec.n_codebooks
    if not 1 <= len(codes) <= most or codes.shape[1] == 0:
        raise ParamError(f"fine_tokens has shape {list(codes.shape)}; allowed: [1..{most}, T]")
    return bark.backend.codec_decode(codes)


@contextmanager
def _request(
    params: GenerationParams,
    voice: Voice | None,
    device: str,
    silent: bool,
    text_tokens: Tokens | None = None,
) -> Iterator[Request]:
    """A request for one stage, with a progress bar on a terminal while it runs unless `silent`."""
    with ProgressBar(not silent, first="speech") as bar:
        progress: Progress | None = None if silent else bar
        none = np.zeros(0, dtype=np.int64)
        tokens = none if text_tokens is None else text_tokens
        seed = check_seed(None)
        yield Request(
            tokens, params, seed, voice, progress=progress, sampler=_torch_sampler(device)
        )


def _torch_sampler(device: str) -> Sampler | None:
    """Draws from torch's generator, where the script has torch; None for our noise."""
    if "torch" not in sys.modules:
        return None
    from openbark.backends.torch.suno_sampler import SunoSampler

    # Suno draws on the CPU where the model is on MPS.
    return SunoSampler("cpu" if device.startswith("mps") else device)


def _array(name: str, values: Any, n_dimensions: int, size: int) -> Tokens:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ParamError(f"{name} cannot be read as an array: {error}") from error
    if array.ndim != n_dimensions or (array.size and array.dtype.kind not in "iu"):
        raise ParamError(
            f"{name} must be whole numbers with {n_dimensions} dimension(s), is {array.dtype} "
            f"{list(array.shape)}"
        )
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ParamError(f"{name} holds {array.min()}..{array.max()}; allowed: 0..{size - 1}")
    return array.astype(np.int64)


def _windowed(config: BarkConfig, history: int, window: int) -> BarkConfig:
    """The config with other coarse windows; Suno's default values stand for the model's own."""
    rules, own = config.coarse_rules, CoarseRules()
    room = config.coarse.block_size - rules.max_semantic_input
    history = rules.max_history if history == own.max_history else history
    window = rules.sliding_window if window == own.sliding_window else window
    least = min(_MIN_HISTORY, rules.max_history)
    if not (least <= history <= rules.max_history and 1 <= window <= room - history):
        raise ParamError(
            f"max_coarse_history is {history} and sliding_window_len {window}; allowed: "
            f"{least}..{rules.max_history}, and from 1 to {room} less the history"
        )
    # The last token of a window is drawn, never read, so it needs no position of its own.
    return replace(
        config,
        coarse=replace(config.coarse, block_size=config.coarse.block_size + 1),
        coarse_rules=replace(rules, max_history=history, sliding_window=window),
    )
