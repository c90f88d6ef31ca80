"""transformers' way from logits to tokens, as a mode of its own (parity B1-B6, H20-H26).

It differs from `openbark.stages.sampling`: logits of the whole vocabulary in float32, filters in the order
penalties, the stage's own rule, temperature, top_k, top_p, min_p, renormalisation, then one multinomial draw
per token from torch's global generator. So `torch.manual_seed(n)` gives the tokens it gives there. top_k left
open is 50 when sampling (H24). Knows no Bark: the stage hands in its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor

from openbark.compat.transformers.generation_configuration import GenerationConfig
from openbark.errors import CheckpointCorruptError, ParamError

__all__ = ["Rule", "StageOptions", "Streamer", "decode", "stage_options"]

_MASKED = float("-inf")
_DEFAULT_TOP_K = 50
_WITHOUT_EFFECT = (
    "use_cache",
    "output_scores",
    "output_attentions",
    "output_hidden_states",
    "return_dict_in_generate",
    "return_dict",
    "pad_token_id",
    "max_length",
)
"""Options that change no token: a stage returns its tokens, whatever these say, and always uses its cache."""


class Streamer(Protocol):
    """What transformers calls a streamer."""

    def put(self, value: Tensor) -> None:
        """The prompt first, then the tokens of each step."""
        ...

    def end(self) -> None:
        """No more tokens."""
        ...


Rule = Callable[[int, Tensor], Tensor]
"""(tokens drawn so far, scores [B, V]) -> scores: what may be drawn at this step."""


@dataclass(frozen=True)
class StageOptions:
    """How one stage draws; names and meanings as in transformers' `GenerationConfig`."""

    do_sample: bool = False
    temperature: float | None = 1.0
    top_k: int | None = _DEFAULT_TOP_K
    top_p: float | None = 1.0
    min_p: float | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    min_new_tokens: int = 0
    max_new_tokens: int | None = None
    min_eos_p: float | None = None
    suppress_tokens: tuple[int, ...] = ()
    renormalize_logits: bool = False
    num_beams: int = 1
    streamer: Streamer | None = None
    stopping_criteria: tuple[Callable[[Tensor, Any], Any], ...] = ()
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        checks: list[tuple[str, bool, str]] = [
            ("temperature", self.temperature is None or self.temperature > 0, "0 (greedy) or more"),
            ("top_k", self.top_k is None or self.top_k >= 0, "a whole number from 1, or 0 for all"),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "0 < p <= 1"),
            ("min_p", self.min_p is None or 0 <= self.min_p <= 1, "0 <= p <= 1"),
            ("min_eos_p", self.min_eos_p is None or self.min_eos_p > 0, "more than 0, or None"),
            ("repetition_penalty", self.repetition_penalty > 0, "more than 0"),
            ("no_repeat_ngram_size", self.no_repeat_ngram_size >= 0, "0 or more"),
            ("max_new_tokens", self.max_new_tokens is None or self.max_new_tokens > 0, "from 1"),
            ("num_beams", self.num_beams == 1, "1: beam search is not there, sample instead"),
        ]
        for name, holds, legal in checks:
            if not holds:
                raise ParamError(f"{name} is {getattr(self, name)!r}; legal: {legal}")


def stage_options(stage: str, config: GenerationConfig, given: Mapping[str, Any]) -> StageOptions:
    """Options of a stage: `given` keywords, else the config's, else transformers' defaults.

    A temperature of 0 is greedy. Raises ParamError for names that nobody knows, and for values outside their range.
    """
    known = {item.name: item.default for item in fields(StageOptions)}
    unknown = sorted(set(given) - set(known) - set(_WITHOUT_EFFECT))
    if unknown:
        raise ParamError(
            f"the {stage} stage has no option {unknown[0]!r}; legal: {', '.join(sorted(known))}"
        )
    values: dict[str, Any] = {}
    for name in known:
        if name in given:
            values[name] = given[name]
        elif config.get(name) is not None:
            values[name] = config[name]
        if values.get(name) is None and name not in ("temperature", "min_eos_p"):
            values.pop(name, None)
    if values.get("temperature") == 0:
        # transformers raises (H26); OpenBark's own checkpoints and calls mean greedy by it.
        values |= {"do_sample": False, "temperature": 1.0}
    for name in ("suppress_tokens", "stopping_criteria"):
        if name in values:
            values[name] = tuple(values[name])
    try:
        return StageOptions(**values)
    except (ParamError, TypeError) as error:
        raise ParamError(f"{stage} stage: {error}") from error


def _seen(scores: Tensor, ids: Tensor) -> Tensor:
    seen = torch.zeros_like(scores, dtype=torch.bool)
    inside = ids < scores.shape[-1]
    rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(ids)
    seen[rows[inside], ids[inside]] = True
    return seen


def _penalised(scores: Tensor, ids: Tensor, penalty: float) -> Tensor:
    changed = torch.where(scores < 0, scores * penalty, scores / penalty)
    return torch.where(_seen(scores, ids), changed, scores)


def _without_repeats(scores: Tensor, ids: Tensor, size: int) -> Tensor:
    """Mask every token that would complete an n-gram of `size` already in the row."""
    length = ids.shape[1]
    if length + 1 < size:
        return scores
    kept = scores.clone()
    for row in range(len(ids)):
        tokens = ids[row].tolist()
        tail = tokens[length - size + 1 :]
        for start in range(length - size + 1):
            if tokens[start : start + size - 1] == tail:
                kept[row, tokens[start + size - 1]] = _MASKED
    return kept


def _top_p(scores: Tensor, p: float) -> Tensor:
    ascending, order = torch.sort(scores, descending=False)
    excluded = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    excluded[..., -1] = False
    return scores.masked_fill(excluded.scatter(1, order, excluded), _MASKED)


def _min_p(scores: Tensor, p: float) -> Tensor:
    shares = scores.softmax(dim=-1)
    excluded = shares < p * shares.amax(dim=-1, keepdim=True)
    best = scores.argmax(dim=-1, keepdim=True)
    return scores.masked_fill(excluded.scatter(1, best, False), _MASKED)


def _warped(scores: Tensor, options: StageOptions) -> Tensor:
    if options.temperature is not None and options.temperature != 1.0:
        scores = scores / options.temperature
    if options.top_k:
        smallest = torch.topk(scores, min(options.top_k, scores.shape[-1]))[0][..., -1, None]
        scores = scores.masked_fill(scores < smallest, _MASKED)
    if options.top_p is not None and options.top_p < 1.0:
        scores = _top_p(scores, options.top_p)
    if options.min_p is not None:
        scores = _min_p(scores, options.min_p)
    return scores


def _processed(
    scores: Tensor, ids: Tensor, n_drawn: int, rule: Rule, options: StageOptions, eos: int | None
) -> Tensor:
    if options.repetition_penalty != 1.0:
        scores = _penalised(scores, ids, options.repetition_penalty)
    if options.no_repeat_ngram_size:
        scores = _without_repeats(scores, ids, options.no_repeat_ngram_size)
    if eos is not None and n_drawn < options.min_new_tokens:
        scores = scores.clone()
        scores[:, eos] = _MASKED
    if options.suppress_tokens:
        scores = scores.clone()
        scores[:, list(options.suppress_tokens)] = _MASKED
    scores = rule(n_drawn, scores)
    if options.do_sample:
        scores = _warped(scores, options)
    return scores.log_softmax(dim=-1) if options.renormalize_logits else scores


def _stopped(ids: Tensor, scores: Tensor, options: StageOptions) -> Tensor:
    stop = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    for criterion in options.stopping_criteria:
        verdict = torch.as_tensor(criterion(ids, scores), device=ids.device, dtype=torch.bool)
        stop |= verdict
    return stop


def decode(
    advance: Callable[[Tensor | None], Tensor],
    prompt: Tensor,
    n_tokens: int,
    rule: Rule,
    options: StageOptions,
    eos: int | None = None,
    pad: int = 0,
) -> Tensor:
    """Draw up to `n_tokens` for each row: [B, T], rows that ended filled with `pad`.

    advance: None for the first call, then the tokens [B] just drawn; returns logits [B, V].
    prompt: ids [B, P] that penalties and the streamer see. Ends early once every row has drawn `eos`.
    """
    ids = prompt
    going = torch.ones(len(prompt), dtype=torch.bool, device=prompt.device)
    if options.streamer is not None:
        options.streamer.put(prompt.cpu())
    token: Tensor | None = None
    for n_drawn in range(n_tokens):
        logits = advance(token).to(device=prompt.device, dtype=torch.float32, copy=True)
        if torch.isnan(logits).any():
            raise CheckpointCorruptError(
                "the model computed logits that are not numbers (NaN): its weights are damaged, or "
                "overflow in this precision; try dtype=torch.float32"
            )
        scores = _processed(logits, ids, n_drawn, rule, options, eos)
        if options.do_sample:
            shares = scores.softmax(dim=-1)
            drawn = torch.multinomial(shares, 1, generator=options.generator)[:, 0]
        else:
            drawn = scores.argmax(dim=-1)
        token = torch.where(going, drawn, torch.full_like(drawn, pad))
        ids = torch.cat([ids, token[:, None]], dim=1)
        if options.streamer is not None:
            options.streamer.put(token.cpu())
        if eos is not None:
            going &= token != eos
        going &= ~_stopped(ids, scores, options)
        if not going.any():
            break
    if options.streamer is not None:
        options.streamer.end()
    return ids[:, prompt.shape[1] :]
