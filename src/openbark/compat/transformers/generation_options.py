"""The options of one stage of generation, under transformers' names and with its defaults (docs/parity.md H20-H26).

Knows no logits and no Bark: `scores` applies the options, `decoding` and `beams` run them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from openbark.compat.transformers.attributes import NamedAttributes
from openbark.errors import ParamError

DEFAULT_TOP_K = 50
"""What an open `top_k` means when sampling (H24)."""

_WITHOUT_EFFECT = frozenset(
    {
        "bos_token_id",
        "cache_config",
        "cache_implementation",
        "compile_config",
        "decoder_start_token_id",
        "disable_compile",
        "encoder_no_repeat_ngram_size",
        "encoder_repetition_penalty",
        "forced_bos_token_id",
        "max_length",
        "assistant_confidence_threshold",
        "assistant_early_exit",
        "assistant_ensemble_weight",
        "assistant_lookbehind",
        "continuous_batching_config",
        "is_assistant",
        "low_memory",
        "max_cache_len",
        "max_matching_ngram_size",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "output_attentions",
        "output_hidden_states",
        "output_logits",
        "output_scores",
        "pad_token_id",
        "prefill_chunk_size",
        "return_dict",
        "return_dict_in_generate",
        "speculation_type",
        "synced_gpus",
        "target_lookbehind",
        "transformers_version",
        "use_cache",
        "use_model_defaults",
        "use_mtp",
    }
)
"""Options that change no token of Bark: a stage returns its tokens, whatever these say, and always uses its
cache; its prompt is never empty, and there is no encoder."""

_NEUTRAL: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "assistant_model": (),
        "constraints": (),
        "diversity_penalty": (0.0,),
        "dola_layers": (),
        "force_words_ids": (),
        "guidance_scale": (1.0,),
        "logits_processor": (),
        "num_beam_groups": (1,),
        "penalty_alpha": (0.0,),
        "prompt_lookup_num_tokens": (),
        "stop_strings": (),
        "token_healing": (False,),
        "watermarking_config": (),
    }
)
"""Options of transformers that are refused, and the values beside None that ask for nothing."""

_INSTEAD = {
    "assistant_model": "OpenBark's own backends are fast without a draft model",
    "guidance_scale": "Bark has no negative prompt",
    "logits_processor": "bad_words_ids, sequence_bias and prefix_allowed_tokens_fn change what may be drawn",
    "stop_strings": "stages draw audio tokens, not text; use stopping_criteria",
    "watermarking_config": "tokens of audio carry no text watermark",
}
_MAY_BE_NONE = ("temperature", "min_eos_p")
_ONLY_IN_CALLS = frozenset({"prefix_allowed_tokens_fn", "stopping_criteria", "streamer"})


class Streamer(Protocol):
    """What transformers calls a streamer."""

    def put(self, value: Tensor) -> None:
        """The prompt first, then the tokens of each step."""
        ...

    def end(self) -> None:
        """No more tokens."""
        ...


@dataclass(frozen=True)
class StageOptions:
    """How one stage draws; names and meanings as in transformers' `GenerationConfig`."""

    do_sample: bool = False
    temperature: float | None = 1.0
    top_k: int | None = DEFAULT_TOP_K
    top_p: float | None = 1.0
    min_p: float | None = None
    top_h: float | None = None
    typical_p: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    sequence_bias: tuple[tuple[tuple[int, ...], float], ...] = ()
    bad_words_ids: tuple[tuple[int, ...], ...] = ()
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    prefix_allowed_tokens_fn: Callable[[int, Tensor], Sequence[int]] | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    forced_eos_token_id: int | None = None
    exponential_decay_length_penalty: tuple[int, float] | None = None
    remove_invalid_values: bool = False
    renormalize_logits: bool = False
    min_eos_p: float | None = None
    min_length: int = 0
    min_new_tokens: int = 0
    max_new_tokens: int | None = None
    max_time: float | None = None
    stopping_criteria: tuple[Callable[[Tensor, Any], Any], ...] = ()
    num_beams: int = 1
    num_return_sequences: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    streamer: Streamer | None = None
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        beams, returned = self.num_beams, self.num_return_sequences
        checks: list[tuple[str, bool, str]] = [
            ("temperature", self.temperature is None or self.temperature > 0, "0 (greedy) or more"),
            ("top_k", self.top_k is None or self.top_k >= 0, "a whole number from 1, or 0 for all"),
            ("top_p", _share(self.top_p) and self.top_p != 0, "0 < p <= 1"),
            ("min_p", _share(self.min_p), "0 <= p <= 1"),
            ("top_h", _share(self.top_h) and self.top_h != 0, "0 < h <= 1"),
            ("typical_p", _share(self.typical_p) and self.typical_p != 0, "0 < p <= 1"),
            ("epsilon_cutoff", _share(self.epsilon_cutoff), "0 <= p <= 1"),
            ("eta_cutoff", _share(self.eta_cutoff), "0 <= p <= 1"),
            ("min_eos_p", self.min_eos_p is None or self.min_eos_p > 0, "more than 0, or None"),
            ("repetition_penalty", self.repetition_penalty > 0, "more than 0"),
            ("no_repeat_ngram_size", self.no_repeat_ngram_size >= 0, "0 or more"),
            ("max_new_tokens", self.max_new_tokens is None or self.max_new_tokens > 0, "from 1"),
            ("num_beams", beams >= 1, "from 1"),
            ("early_stopping", self.early_stopping in (True, False, "never"), "True, False, 'never'"),
            ("streamer", self.streamer is None or beams == 1, "None with num_beams above 1"),
            ("num_return_sequences", returned >= 1, "from 1"),
            (
                "num_return_sequences",
                returned == 1 or (returned <= beams if beams > 1 else self.do_sample),
                "up to num_beams with beams, 1 without beams unless do_sample is True",
            ),
        ]  # fmt: skip
        for name, holds, allowed in checks:
            if not holds:
                raise ParamError(f"{name} is {getattr(self, name)!r}; allowed: {allowed}")

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end a row."""
        given = self.eos_token_id
        return () if given is None else (given,) if isinstance(given, int) else given

    @property
    def pad(self) -> int:
        """What follows the end of a row where the stage has no padding of its own, as there."""
        return next(iter(self.ends), 0)

    @property
    def rows_per_text(self) -> int:
        """Rows that run for each row of the prompt."""
        return max(self.num_beams, self.num_return_sequences)


CONFIG_NAMES = (
    frozenset(item.name for item in fields(StageOptions)) - _ONLY_IN_CALLS | _WITHOUT_EFFECT
)
"""What a generation config may be given."""

OPEN_IN_CONFIGS: Mapping[str, None] = MappingProxyType(
    dict.fromkeys(
        (CONFIG_NAMES | set(_NEUTRAL)) - {"assistant_model", "generator", "logits_processor"}
    )
)
"""What every generation config has, None unless it is set."""


def stage_options(stage: str, config: NamedAttributes, given: Mapping[str, Any]) -> StageOptions:
    """Options of a stage: `given` keywords, else the config's, else transformers' defaults.

    A temperature of 0 is greedy. Raises ParamError for unknown names, for options that
    Bark does not have, and for values outside their range.
    """
    known = {item.name: item.default for item in fields(StageOptions)}
    asked = {name: given[name] if name in given else config.get(name) for name in _NEUTRAL}
    refused = [
        name
        for name, neutral in _NEUTRAL.items()
        if asked[name] is not None and asked[name] not in neutral
    ]
    unknown = [*refused, *sorted(set(given) - set(known) - _WITHOUT_EFFECT - set(_NEUTRAL))]
    if unknown:
        advice = _INSTEAD.get(unknown[0], f"allowed: {', '.join(sorted(known))}")
        raise ParamError(f"the {stage} stage has no option {unknown[0]!r}; {advice}")
    values: dict[str, Any] = {}
    for name in known:
        if name in given:
            values[name] = given[name]
        elif config.get(name) is not None:
            values[name] = config[name]
        if values.get(name) is None and name not in _MAY_BE_NONE:
            values.pop(name, None)
    if values.get("temperature") == 0:
        # transformers raises (H26); OpenBark's own checkpoints and calls mean greedy by it.
        values |= {"do_sample": False, "temperature": 1.0}
    try:
        return StageOptions(**{name: _frozen(name, value) for name, value in values.items()})
    except (ParamError, TypeError, ValueError) as error:
        raise ParamError(f"{stage} stage: {error}") from error


def _share(value: float | None) -> bool:
    return value is None or 0 <= value <= 1


def _frozen(name: str, value: Any) -> Any:
    """Lists of any depth as tuples; `sequence_bias` may be a dictionary, or pairs as JSON has them, and
    `stopping_criteria` one alone."""
    if name == "stopping_criteria" and callable(value) and not isinstance(value, Iterable):
        return (value,)
    if name == "sequence_bias":
        pairs = value.items() if isinstance(value, Mapping) else value
        return tuple((tuple(sequence), float(bias)) for sequence, bias in pairs)
    if name == "bad_words_ids":
        return tuple(tuple(sequence) for sequence in value)
    if isinstance(value, (list, tuple, Tensor)):
        return tuple(value.tolist() if isinstance(value, Tensor) else value)
    return value
