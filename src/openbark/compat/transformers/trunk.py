"""The transformer blocks with everything transformers' `forward` can ask of them: masks, hidden states, attentions.

Without a mask and without attentions the blocks run as `openbark.backends.torch` has them, fused; else
attention is spelled out. Numbers agree to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.backends.torch.gpt import Attention, Block, KVCache
from openbark.errors import InputError

__all__ = ["Trace", "embeddings_of", "run_blocks"]


@dataclass(frozen=True)
class Trace:
    """Output of the blocks x [B, T, D], and what was recorded on the way."""

    x: Tensor
    hidden_states: tuple[Tensor, ...]
    attentions: tuple[Tensor, ...]


def embeddings_of(
    input_ids: Tensor | None, inputs_embeds: Tensor | None, table: nn.Embedding
) -> Tensor:
    """Embeddings [B, T, D] of whichever was given. Raises InputError for both or neither."""
    if (input_ids is None) == (inputs_embeds is None):
        raise InputError("give input_ids or inputs_embeds, one of them")
    if inputs_embeds is not None:
        return inputs_embeds.to(table.weight.device)
    return table(input_ids)  # type: ignore[no-any-return]


def run_blocks(
    blocks: nn.ModuleList,
    x: Tensor,
    cache: KVCache | None,
    attention_mask: Tensor | None,
    want_attentions: bool,
    want_hidden: bool,
) -> Trace:
    """x [B, T, D] through all blocks. attention_mask [B, past + T]: 0 hides a position from all rows' queries.

    The cache keeps its length: the caller advances it.
    """
    hidden: list[Tensor] = []
    attentions: list[Tensor] = []
    masked = attention_mask is not None and not bool(attention_mask.to(torch.bool).all())
    mask = (
        attention_mask.to(x.device, torch.bool) if masked and attention_mask is not None else None
    )
    for layer, block in enumerate(blocks):
        if not isinstance(block, Block):
            raise TypeError(f"layer {layer} is a {type(block).__name__}, not a Block")
        if want_hidden:
            hidden.append(x)
        if mask is None and not want_attentions:
            x = block(x, cache, layer)
            continue
        mixed, weights = _attend(block.attn, block.layernorm_1(x), cache, layer, mask)
        x = x + mixed
        x = x + block.mlp(block.layernorm_2(x))
        attentions.append(weights)
    return Trace(x, tuple(hidden), tuple(attentions) if want_attentions else ())


def _attend(
    attention: Attention, x: Tensor, cache: KVCache | None, layer: int, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Output [B, T, D] and weights [B, H, T, S] of one attention."""
    fused = attention.att_proj(x).unflatten(-1, (3, attention.n_head, -1))
    query, key, value = fused.permute(2, 0, 3, 1, 4)
    if cache is not None:
        key, value = cache.append(layer, key, value)
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    # The smallest number instead of -inf: a row that sees nothing then averages, and is no NaN.
    hidden = torch.finfo(scores.dtype).min
    n_new, n_all = scores.shape[-2:]
    if attention.causal:
        future = torch.ones(n_new, n_all, dtype=torch.bool, device=x.device).triu(n_all - n_new + 1)
        scores = scores.masked_fill(future, hidden)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :n_all], hidden)
    weights = F.softmax(scores, dim=-1)
    mixed = (weights @ value).transpose(1, 2).flatten(2)
    return attention.out_proj(mixed), weights
