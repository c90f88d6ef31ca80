"""Beam search with transformers' rules (docs/parity.md H23): twice the beams are looked at in each step, finished rows are
kept apart with a length penalty, and the search ends when running rows can no longer beat them.

Knows no Bark and no logits: `scores_of` gives log probabilities after every option.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from openbark.compat.transformers.generation_options import StageOptions

_OUT = -1.0e9
"""The score of a row that must not win; not -inf, so that sums of scores stay numbers."""


class Network(Protocol):
    """A stage's network after its prompt."""

    def __call__(self, token: Tensor | None) -> Tensor:
        """Logits [B, V] after the prompt for None, then after one more token [B] in every row."""
        ...

    def reorder(self, rows: Tensor) -> None:
        """Let row b go on from what row `rows[b]` has seen."""
        ...


@dataclass
class _Beams:
    """Rows of B texts: ids [B, n, T], scores [B, n], and which are finished [B, n]."""

    ids: Tensor
    scores: Tensor
    finished: Tensor
    lengths: Tensor

    def best(self, scores: Tensor, n: int) -> tuple[_Beams, Tensor]:
        """The n rows of each text with the best `scores` [B, n'], and their places [B, n]."""
        chosen = scores.topk(n, dim=1).indices
        width = chosen[:, :, None].expand(-1, -1, self.ids.shape[2])
        kept = _Beams(
            self.ids.gather(1, width),
            scores.gather(1, chosen),
            self.finished.gather(1, chosen),
            self.lengths.gather(1, chosen),
        )
        return kept, chosen

    def with_rows(self, others: _Beams) -> _Beams:
        """These rows and the others of the same texts."""
        return _Beams(
            torch.cat([self.ids, others.ids], dim=1),
            torch.cat([self.scores, others.scores], dim=1),
            torch.cat([self.finished, others.finished], dim=1),
            torch.cat([self.lengths, others.lengths], dim=1),
        )


def search(
    network: Network,
    scores_of: Callable[[Tensor, Tensor], Tensor],
    stop: Callable[[Tensor, Tensor | None], Tensor],
    prompt: Tensor,
    n_tokens: int,
    options: StageOptions,
    pad: int,
) -> Tensor:
    """The `num_return_sequences` best rows of each text, best first: [B * n, T], filled with `pad`.

    prompt: ids [B * num_beams, P], the rows of a text one after the other.
    """
    n_beams, n_prompt = options.num_beams, prompt.shape[1]
    n_texts = len(prompt) // n_beams
    running = _start(prompt.view(n_texts, n_beams, n_prompt), n_tokens, pad)
    done = _Beams(
        running.ids.clone(),
        torch.full_like(running.scores, _OUT),
        running.finished.clone(),
        running.lengths.clone(),
    )
    hopeful = torch.ones((n_texts, 1), dtype=torch.bool, device=prompt.device)
    # A token that ends its row is not a continuation: enough others have to be among the candidates.
    n_candidates = 2 * n_beams
    in_first = (torch.arange(n_candidates, device=prompt.device) < n_beams)[None]
    first_row = n_beams * torch.arange(n_texts, device=prompt.device)[:, None]
    token: Tensor | None = None
    for n_drawn in range(n_tokens):
        length = n_prompt + n_drawn
        flat = running.ids[:, :, :length].flatten(0, 1)
        scores = scores_of(network(token), flat).view(n_texts, n_beams, -1)
        candidates, parents = _candidates(running, scores, length, n_candidates, options)
        ends = stop(candidates.ids[:, :, : length + 1].flatten(0, 1), None)
        ends = ends.view(n_texts, n_candidates) | (n_drawn + 1 == n_tokens)
        running, kept = candidates.best(candidates.scores + ends.float() * _OUT, n_beams)
        candidates.finished = ends & in_first
        candidates.scores = candidates.scores / (n_drawn + 1) ** options.length_penalty
        full = done.finished.all(dim=1, keepdim=True) & (options.early_stopping is True)
        for barred in (full, ~hopeful, ~candidates.finished):
            candidates.scores = candidates.scores + barred.float() * _OUT
        both = done.with_rows(candidates)
        done, _ = both.best(both.scores, n_beams)
        hopeful &= _can_improve(running, done, n_drawn + 1, n_tokens, options)
        full_now = bool(done.finished.all()) and options.early_stopping is True
        if not hopeful.any() or full_now or ends.all():
            break
        network.reorder((parents.gather(1, kept) + first_row).flatten())
        token = running.ids[:, :, length].flatten()
    chosen = done.ids[:, : options.num_return_sequences].flatten(0, 1)
    longest = int(done.lengths[:, : options.num_return_sequences].max())
    return chosen[:, n_prompt : n_prompt + longest]


def _start(prompt: Tensor, n_tokens: int, pad: int) -> _Beams:
    """Only the first row of each text counts at first: all begin alike."""
    n_texts, n_beams, _ = prompt.shape
    room = torch.full((n_texts, n_beams, n_tokens), pad, device=prompt.device, dtype=torch.int64)
    scores = torch.full((n_texts, n_beams), _OUT, device=prompt.device)
    scores[:, 0] = 0.0
    zeros = torch.zeros((n_texts, n_beams), device=prompt.device)
    return _Beams(
        torch.cat([prompt.to(torch.int64), room], dim=2), scores, zeros.bool(), zeros.long()
    )


def _candidates(
    running: _Beams, scores: Tensor, length: int, n: int, options: StageOptions
) -> tuple[_Beams, Tensor]:
    """The n best, or n drawn, continuations of each text by one token, and the rows [B, n] they continue."""
    n_vocabulary = scores.shape[-1]
    sums = (scores + running.scores[:, :, None]).flatten(1)
    if options.do_sample:
        chosen = torch.multinomial(sums.softmax(dim=-1), n, generator=options.generator)
    else:
        chosen = sums.topk(n, dim=1).indices
    parents = chosen // n_vocabulary
    ids = running.ids.gather(1, parents[:, :, None].expand(-1, -1, running.ids.shape[2]))
    ids[:, :, length] = chosen % n_vocabulary
    lengths = running.lengths.gather(1, parents) + 1
    return _Beams(ids, sums.gather(1, chosen), torch.zeros_like(parents).bool(), lengths), parents


def _can_improve(
    running: _Beams, done: _Beams, n_drawn: int, n_tokens: int, options: StageOptions
) -> Tensor:
    """Whether the best running row of a text may still beat its worst finished one [B, 1]."""
    patient = options.early_stopping == "never" and options.length_penalty > 0
    best_length = n_tokens if patient else n_drawn
    hope = running.scores[:, :1] / best_length**options.length_penalty
    worst = done.scores.amin(dim=1, keepdim=True)
    bar = torch.where(done.finished, worst, torch.full_like(done.scores, _OUT))
    improves: Tensor = (hope > bar).any(dim=1, keepdim=True)
    return improves
