"""`bark.generation`: Suno's stage functions, models and settings under Suno's names (docs/parity.md S10-S19).

State lives here because Suno's scripts reach for it here: the dictionaries `models` and `models_devices`,
and the settings `OFFLOAD_CPU`, `USE_SMALL_MODELS` and `GLOBAL_ENABLE_MPS`, which follow the environment until
a script assigns them. Arguments are checked and stages run in `openbark.compat.suno.stage_runs`.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.api import Bark
from openbark.compat.suno import environment, history
from openbark.compat.suno.defaults import Unset, given_or_own
from openbark.compat.suno.history import HistoryPrompt
from openbark.compat.suno.model_cache import Notices, Place, choose_device
from openbark.compat.suno.stage_models import (
    StageModel,
    clear_cuda_cache,
    load_network,
    load_stage,
    stage_in,
)
from openbark.compat.suno.stage_runs import (
    run_coarse_stage,
    run_codec_stage,
    run_fine_stage,
    run_semantic_stage,
    stage_sampling,
)
from openbark.config import BarkConfig
from openbark.errors import ParamError
from openbark.params import SamplingParams
from openbark.text.tokenizer import Tokenizer
from openbark.types import Tokens
from openbark.voices.npz import ARRAY_KEYS

_SUNO = BarkConfig()
_TEMP = Unset(0.7)
_FINE_TEMP = Unset(0.5)
_MIN_EOS_P = Unset(0.2)
_STAGES = ("text", "coarse", "fine", "codec")

CONTEXT_WINDOW_SIZE = _SUNO.semantic.block_size
SEMANTIC_RATE_HZ = _SUNO.semantic_rules.rate_hz
SEMANTIC_VOCAB_SIZE = _SUNO.semantic_rules.semantic_vocab_size
CODEBOOK_SIZE = _SUNO.codebook_size
N_COARSE_CODEBOOKS = _SUNO.coarse_rules.n_codebooks
N_FINE_CODEBOOKS = _SUNO.fine_rules.n_codebooks
COARSE_RATE_HZ = int(_SUNO.coarse_rules.rate_hz)
SAMPLE_RATE = _SUNO.sample_rate
TEXT_ENCODING_OFFSET = _SUNO.semantic_rules.text_encoding_offset
SEMANTIC_PAD_TOKEN = _SUNO.semantic_rules.semantic_pad_token
TEXT_PAD_TOKEN = _SUNO.semantic_rules.text_pad_token
SEMANTIC_INFER_TOKEN = _SUNO.semantic_rules.infer_token
COARSE_SEMANTIC_PAD_TOKEN = _SUNO.coarse_rules.semantic_pad_token
COARSE_INFER_TOKEN = _SUNO.coarse_rules.infer_token

SUPPORTED_LANGS = history.SUPPORTED_LANGS
ALLOWED_PROMPTS = history.ALLOWED_PROMPTS
REMOTE_MODEL_PATHS = {
    f"{stage}{suffix}": {"repo_id": "suno/bark", "file_name": f"{stage}{number}.pt"}
    for stage in ("text", "coarse", "fine")
    for suffix, number in (("_small", ""), ("", "_2"))
}
"""Where Suno's files are on the hub (S17)."""

models: dict[str, Any] = {}
"""Loaded stages: "text" is a dictionary of "model" and "tokenizer", the others are models (S15, S17)."""

models_devices: dict[str, str] = {}
"""Device of each loaded stage."""

_NOTICES = Notices()


def __getattr__(name: str) -> Any:
    """Settings that no script has assigned come from the environment, each time they are asked for."""
    if name in environment.FLAGS:
        return environment.flag(name)
    if name == "CACHE_DIR":
        return str(environment.cache_folder())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _setting(name: str) -> bool:
    return bool(getattr(sys.modules[__name__], name))


def generate_text_semantic(
    text: str,
    history_prompt: HistoryPrompt | None = None,
    temp: float = _TEMP,
    top_k: int | None = None,
    top_p: float | None = None,
    silent: bool = False,
    min_eos_p: float | None = _MIN_EOS_P,
    max_gen_duration_s: float | None = None,
    allow_early_stop: bool = True,
    use_kv_caching: bool = False,
) -> Tokens:
    """Semantic tokens [T] of a text, without the end token (S10). `use_kv_caching` changes nothing here:
    the cache is always used, with the same tokens. A `temp` or `min_eos_p` that is left out is the
    checkpoint's own, for Suno's these. Raises TextError, VoiceError, ParamError."""
    with _computing("text") as (bark, device):
        own = bark.default_params.semantic or SamplingParams()
        stop_at = given_or_own(min_eos_p, own.min_eos_p)
        sampling = stage_sampling(given_or_own(temp, own.temperature), top_k, top_p, stop_at)
        return run_semantic_stage(
            bark,
            device,
            text,
            history.find_history(history_prompt, bark),
            sampling,
            max_gen_duration_s,
            allow_early_stop,
            silent,
        )


def generate_coarse(
    x_semantic: Any,
    history_prompt: HistoryPrompt | None = None,
    temp: float = _TEMP,
    top_k: int | None = None,
    top_p: float | None = None,
    silent: bool = False,
    max_coarse_history: int = 630,
    sliding_window_len: int = 60,
    use_kv_caching: bool = False,
) -> Tokens:
    """Coarse codes [2, F] of semantic tokens [T] (S11). Suno's default windows stand for the model's own.
    Raises TextError for no tokens, VoiceError, ParamError."""
    with _computing("coarse") as (bark, device):
        own = bark.default_params.coarse or SamplingParams()
        return run_coarse_stage(
            bark,
            device,
            x_semantic,
            history.find_history(history_prompt, bark),
            stage_sampling(given_or_own(temp, own.temperature), top_k, top_p),
            (max_coarse_history, sliding_window_len),
            silent,
        )


def generate_fine(
    x_coarse_gen: Any,
    history_prompt: HistoryPrompt | None = None,
    temp: float | None = _FINE_TEMP,
    silent: bool = True,
) -> Tokens:
    """Fine codes [8, F] of the first 1 to 7 codebooks (S12); `temp=None` is greedy. Raises VoiceError,
    ParamError."""
    with _computing("fine") as (bark, device):
        own = bark.default_params.fine or SamplingParams()
        sampling = stage_sampling(given_or_own(temp, own.temperature))
        voice = history.find_history(history_prompt, bark)
        return run_fine_stage(bark, device, x_coarse_gen, voice, sampling, silent)


def codec_decode(fine_tokens: Any) -> NDArray[np.float32]:
    """Waveform [L] at `SAMPLE_RATE` of codes [K, F], coarse ones too (S13). Raises ParamError."""
    with _computing("codec") as (bark, _):
        return run_codec_stage(bark, fine_tokens)


def preload_models(
    text_use_gpu: bool = True,
    text_use_small: bool = False,
    coarse_use_gpu: bool = True,
    coarse_use_small: bool = False,
    fine_use_gpu: bool = True,
    fine_use_small: bool = False,
    codec_use_gpu: bool = True,
    force_reload: bool = False,
) -> None:
    """Load all four parts (S14). A GPU is used where there is one. Asking for another size than the loaded
    one loads that size. Raises CheckpointError, DeviceError."""
    load_model(text_use_gpu, text_use_small, force_reload, "text")
    load_model(coarse_use_gpu, coarse_use_small, force_reload, "coarse")
    load_model(fine_use_gpu, fine_use_small, force_reload, "fine")
    load_codec_model(codec_use_gpu, force_reload)


def load_model(
    use_gpu: bool = True,
    use_small: bool = False,
    force_reload: bool = False,
    model_type: str = "text",
) -> Any:
    """Load "text", "coarse" or "fine" into `models` and return what lies there (S15). Raises ParamError
    for another `model_type`."""
    small = use_small or _setting("USE_SMALL_MODELS")
    return _load(_checked_type(model_type), use_gpu, small, force_reload)


def load_codec_model(use_gpu: bool = True, force_reload: bool = False) -> Any:
    """Load the codec into `models` and return it (S15): that of the loaded stages' checkpoint, never on MPS."""
    small, place = _codec_place()
    return _load("codec", use_gpu, small, force_reload, place)


def clean_models(model_key: str | None = None) -> None:
    """Forget one of `models`, or all, and give their memory back (S16)."""
    for name in [model_key] if model_key is not None else list(models):
        models.pop(name, None)
        models_devices.pop(name, None)
    gc.collect()
    clear_cuda_cache()


class InferenceContext:
    """A context that changes nothing; Suno switches a setting of cuDNN in it (S19, S43)."""

    def __init__(self, benchmark: bool = False) -> None:
        """`benchmark` is what Suno sets; nothing here depends on it."""
        self.benchmark = benchmark

    def __enter__(self) -> InferenceContext:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def _load(
    name: str, use_gpu: bool, small: bool, force_reload: bool, beside: Place | None = None
) -> Any:
    device = _grab_best_device(use_gpu)
    if name == "codec" and device == "mps":
        device = "cpu"  # as Suno: the codec's layers are not right there (S15)
    held = _stage_model(name) if name in models else None
    moved = held is not None and beside is not None and held.place != beside
    if held is None or force_reload or moved or (held.small, held.device) != (small, device):
        stage = load_stage(name, small, device, _NOTICES, _setting("OFFLOAD_CPU"), beside)
        entry = {"model": stage, "tokenizer": stage.bark.tokenizer}
        models[name] = entry if name == "text" else stage
        models_devices[name] = device
    return models[name]


def _checked_type(model_type: str) -> str:
    if model_type not in _STAGES[:-1]:
        raise ParamError(f"model_type is {model_type!r}; allowed: {', '.join(_STAGES[:-1])}")
    return model_type


def _codec_place() -> tuple[bool, Place | None]:
    """Size and place of a loaded stage, whose codec it is."""
    stages = [_stage_model(name) for name in ("fine", "coarse", "text") if name in models]
    loaded = [stage for stage in stages if stage.place is not None]
    return (loaded[0].small, loaded[0].place) if loaded else (_setting("USE_SMALL_MODELS"), None)


@contextmanager
def _computing(name: str) -> Iterator[tuple[Bark, str]]:
    """A stage and its device, with OFFLOAD_CPU there only for this long (S44)."""
    stage = _stage(name)
    with stage.computing(_setting("OFFLOAD_CPU")) as bark:
        yield bark, stage.current_device


def _stage_model(name: str) -> StageModel:
    """The stage in `models`, also where a script has put a network of its own there."""
    stage, models[name] = stage_in(models[name], name, _any_tokenizer)
    models_devices.setdefault(name, stage.device)
    return stage


def _any_tokenizer() -> Tokenizer:
    """That of a loaded stage: stages after the first read no text."""
    loaded = [item for item in models.values() if isinstance(item, StageModel)]
    return (loaded[0] if loaded else _stage("text")).bark.tokenizer


def _stage(name: str) -> StageModel:
    """A loaded stage; without it everything is loaded with the defaults, as Suno does (S17)."""
    if name not in models:
        for other in _STAGES:
            if other not in models and other != "codec":
                load_model(model_type=other)
        if "codec" not in models:
            load_codec_model()
    return _stage_model(name)


def _grab_best_device(use_gpu: bool = True) -> str:
    return choose_device(use_gpu, _setting("GLOBAL_ENABLE_MPS"))


def _clear_cuda_cache() -> None:
    clear_cuda_cache()


def _inference_mode() -> AbstractContextManager[object]:
    """Suno's context around its stages; gradients are kept off where they could arise, so nothing is left."""
    return InferenceContext()


def _load_model(
    ckpt_path: str | os.PathLike[str],
    device: Any,
    use_small: bool = False,
    model_type: str = "text",
) -> Any:
    """The torch network of one `.pt` file, for "text" with its tokenizer. Loads no other stage, keeps
    nothing, runs no pickle; `use_small` is seen from the file (S19)."""
    return load_network(Path(ckpt_path), str(device), _checked_type(model_type))


def _load_codec_model(device: Any) -> StageModel:
    """The codec on a device, kept nowhere (S19)."""
    small, place = _codec_place()
    return load_stage("codec", small, str(device), _NOTICES, beside=place)


def _get_ckpt_path(model_type: str, use_small: bool = False) -> str:
    key = f"{model_type}_small" if use_small or _setting("USE_SMALL_MODELS") else model_type
    return str(Path(__getattr__("CACHE_DIR")) / REMOTE_MODEL_PATHS[key]["file_name"])


def _load_history_prompt(history_prompt_input: HistoryPrompt) -> dict[str, Tokens]:
    voice = history.find_history(history_prompt_input, _stage("text").bark)
    return {key: getattr(voice, field) for field, key in ARRAY_KEYS.items()}


def _tokenize(tokenizer: Tokenizer, text: str) -> list[int]:
    return [int(token) for token in tokenizer.encode(text)]


def _detokenize(tokenizer: Tokenizer, enc_text: Iterable[int]) -> str:
    return tokenizer.decode(enc_text)


def _normalize_whitespace(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _flatten_codebooks(arr: NDArray[Any], offset_size: int | None = CODEBOOK_SIZE) -> NDArray[Any]:
    if arr.ndim != 2:
        raise ParamError(f"codebooks must have the shape [K, T], have {list(arr.shape)}")
    shifted = arr.copy()
    if offset_size is not None:
        shifted += offset_size * np.arange(len(arr), dtype=arr.dtype)[:, None]
    return shifted.ravel("F")
