"""transformers' way from logits to what is drawn from, as a mode of its own (docs/parity.md B3-B5, H23, H24).

It differs from `openbark.stages.sampling`: scores of the whole vocabulary in float32, in the order penalties, the
stage's own rule, temperature, filters, renormalisation. Knows no Bark: the stage hands in its rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from openbark.compat.transformers.generation_options import StageOptions
from openbark.errors import ParamError

_MASKED = float("-inf")
_TOP_H_TOKENS = 100  # transformers looks no further down the ranking.

Rule = Callable[[int, Tensor], Tensor]
"""(tokens drawn so far, scores [B, V]) -> scores: what may be drawn at this step."""


@dataclass(frozen=True)
class Scorer:
    """Scores of one stage. eos: the end tokens, if there are any; n_tokens: how many are drawn at
    most; n_prompt: tokens of the prompt that rows begin with."""

    rule: Rule
    options: StageOptions
    eos: tuple[int, ...]
    n_tokens: int
    n_prompt: int

    def __call__(self, scores: Tensor, ids: Tensor) -> Tensor:
        """Scores [B, V] after every option, of logits [B, V] and the tokens [B, P + n] before them."""
        options = self.options
        n_drawn = ids.shape[1] - self.n_prompt
        if options.sequence_bias:
            scores = _biased(scores, ids, options.sequence_bias)
        if options.repetition_penalty != 1.0:
            scores = _penalised(scores, ids, options.repetition_penalty)
        if options.no_repeat_ngram_size:
            scores = _without_repeats(scores, ids, options.no_repeat_ngram_size)
        forbidden = [
            (word, _MASKED)
            for word in options.bad_words_ids
            if len(word) != 1 or word[0] not in self.eos
        ]
        if forbidden:
            scores = _biased(scores, ids, tuple(forbidden))
        too_short = n_drawn < options.min_new_tokens or ids.shape[1] < options.min_length
        if self.eos and too_short:
            scores = _without(scores, self.eos)
        if options.prefix_allowed_tokens_fn is not None:
            scores = _allowed(scores, ids, options)
        scores = self._ending(scores, n_drawn)
        if options.suppress_tokens:
            scores = _without(scores, options.suppress_tokens)
        if options.begin_suppress_tokens and n_drawn == 0:
            scores = _without(scores, options.begin_suppress_tokens)
        scores = self.rule(n_drawn, scores)
        if options.do_sample:
            scores = self._warped(scores)
        return scores.log_softmax(dim=-1) if options.renormalize_logits else scores

    def _ending(self, scores: Tensor, n_drawn: int) -> Tensor:
        """A forced end, numbers in place of NaN and infinity, and the pull towards the end that grows."""
        options = self.options
        if options.forced_eos_token_id is not None and n_drawn == self.n_tokens - 1:
            scores = torch.full_like(scores, _MASKED)
            scores[:, options.forced_eos_token_id] = 0.0
        if options.remove_invalid_values:
            scores = scores.nan_to_num(0.0)
        if options.exponential_decay_length_penalty is not None:
            start, factor = options.exponential_decay_length_penalty
            if n_drawn > start:
                scores = scores.clone()
                for token in self.eos:
                    end = scores[:, token]
                    pull = end.abs() * (factor ** (n_drawn - start) - 1)
                    scores[:, token] = end + pull.masked_fill(~end.isfinite(), 0.0)
        return scores

    def _warped(self, scores: Tensor) -> Tensor:
        options = self.options
        n_kept = 1 if options.num_beams == 1 else 2  # beams need a token that does not end them
        if options.temperature is not None and options.temperature != 1.0:
            scores = scores / options.temperature
        if options.top_h is not None:
            scores = _top_h(scores, options.top_h)
        if options.top_k:
            scores = _top_k(scores, max(options.top_k, n_kept))
        if options.top_p is not None and options.top_p < 1.0:
            scores = _top_p(scores, options.top_p, n_kept)
        if options.min_p is not None:
            shares = scores.softmax(dim=-1)
            low = shares < options.min_p * shares.amax(dim=-1, keepdim=True)
            best = shares.topk(min(n_kept, shares.shape[-1])).indices
            scores = scores.masked_fill(low.scatter(1, best, False), _MASKED)
        if options.typical_p is not None and options.typical_p < 1.0:
            scores = _typical(scores, options.typical_p, n_kept)
        if options.epsilon_cutoff is not None and 0 < options.epsilon_cutoff < 1:
            epsilon = torch.full((len(scores), 1), options.epsilon_cutoff, device=scores.device)
            scores = _above(scores, epsilon, n_kept)
        if options.eta_cutoff is not None and 0 < options.eta_cutoff < 1:
            epsilon = torch.tensor(options.eta_cutoff, device=scores.device)
            eta = torch.minimum(epsilon, epsilon.sqrt() * (-_entropy(scores)).exp())
            scores = _above(scores, eta[:, None], n_kept)
        return scores


def _without(scores: Tensor, tokens: tuple[int, ...]) -> Tensor:
    """Mask tokens; those that this stage does not have are another stage's."""
    kept = scores.clone()
    kept[:, [token for token in tokens if 0 <= token < scores.shape[-1]]] = _MASKED
    return kept


def _biased(
    scores: Tensor, ids: Tensor, biases: tuple[tuple[tuple[int, ...], float], ...]
) -> Tensor:
    """Add each bias to the last token of its sequence, in rows that end with the tokens before it."""
    added = torch.zeros_like(scores)
    for sequence, bias in biases:
        *prefix, last = sequence
        if not 0 <= last < scores.shape[-1]:
            raise ParamError(
                f"token {last} of sequence_bias or bad_words_ids is none of this stage; "
                f"allowed: 0..{scores.shape[-1] - 1}"
            )
        if len(prefix) > ids.shape[1]:
            continue
        tail = ids[:, ids.shape[1] - len(prefix) :]
        matches = (tail == torch.tensor(prefix, device=ids.device)).all(dim=1)
        added[:, last] += torch.where(matches, bias, 0.0)
    return scores + added


def _penalised(scores: Tensor, ids: Tensor, penalty: float) -> Tensor:
    seen = torch.zeros_like(scores, dtype=torch.bool)
    inside = ids < scores.shape[-1]
    rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(ids)
    seen[rows[inside], ids[inside]] = True
    changed = torch.where(scores < 0, scores * penalty, scores / penalty)
    return torch.where(seen, changed, scores)


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


def _allowed(scores: Tensor, ids: Tensor, options: StageOptions) -> Tensor:
    """Mask what `prefix_allowed_tokens_fn` does not list; where nothing listed can be drawn, that is forced."""
    function = options.prefix_allowed_tokens_fn
    if function is None:
        return scores
    mask = torch.full_like(scores, _MASKED)
    for row, tokens in enumerate(ids):
        listed = list(function(row // options.num_beams, tokens))
        if not listed:
            raise ParamError(
                f"prefix_allowed_tokens_fn lists no token for row {row}; allowed: one at least"
            )
        mask[row, listed] = 0.0
    allowed = scores + mask
    groups = allowed.amax(dim=-1).isneginf().view(-1, options.num_beams).all(dim=1)
    stuck = groups.repeat_interleave(options.num_beams)[:, None]
    return torch.where(stuck, mask, allowed)


def _top_k(scores: Tensor, k: int) -> Tensor:
    smallest = torch.topk(scores, min(k, scores.shape[-1]))[0][..., -1, None]
    return scores.masked_fill(scores < smallest, _MASKED)


def _top_p(scores: Tensor, p: float, n_kept: int) -> Tensor:
    ascending, order = torch.sort(scores, descending=False)
    excluded = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    excluded[..., -n_kept:] = False
    return scores.masked_fill(excluded.scatter(1, order, excluded), _MASKED)


def _entropy(scores: Tensor) -> Tensor:
    """Entropy [B] of the distributions that scores [B, V] mean; masked tokens add nothing."""
    logs = scores.log_softmax(dim=-1)
    smallest = torch.finfo(logs.dtype).min
    return -(logs.clamp(min=smallest) * logs.exp()).sum(dim=-1)


def _top_h(scores: Tensor, h: float) -> Tensor:
    """Keep the best tokens whose entropy terms add up to at most the share h of the whole, one at least."""
    best, order = scores.topk(min(_TOP_H_TOKENS, scores.shape[-1]))
    shares = (best - best.logsumexp(dim=-1, keepdim=True)).softmax(dim=-1)
    terms = -shares * shares.log()
    keep = terms.cumsum(dim=-1) <= _entropy(best)[:, None] * h
    keep[:, 0] = True
    kept = torch.zeros_like(scores, dtype=torch.bool).scatter(1, order, keep)
    return scores.masked_fill(~kept, _MASKED)


def _typical(scores: Tensor, mass: float, n_kept: int) -> Tensor:
    """Keep the tokens whose surprise is nearest to the entropy, until they hold the mass."""
    logs = scores.log_softmax(dim=-1)
    entropy = -(logs * logs.exp()).nansum(dim=-1, keepdim=True)
    distance, order = (-logs - entropy).abs().sort(dim=-1)
    held = scores.gather(1, order).softmax(dim=-1).cumsum(dim=-1)
    last = (held < mass).sum(dim=1, keepdim=True).clamp(max=scores.shape[-1] - 1)
    excluded = distance > distance.gather(1, last)
    excluded[:, :n_kept] = False
    return scores.masked_fill(excluded.scatter(1, order, excluded), _MASKED)


def _above(scores: Tensor, threshold: Tensor, n_kept: int) -> Tensor:
    """Mask tokens whose share is under the threshold [B, 1], but never the best `n_kept`."""
    smallest = scores.topk(min(n_kept, scores.shape[-1]))[0][..., -1, None]
    low = (scores.softmax(dim=-1) < threshold) & (scores < smallest)
    return scores.masked_fill(low, _MASKED)
