"""The transformer blocks with everything transformers' `forward` can ask of them: masks, hidden states, attentions.

Without a mask and without attentions the blocks use torch's fused attention; else plain operations, which agree
to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from openbark.backends.torch.gpt import KVCache
from openbark.errors import InputError


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
    attentions: list[Tensor] | None = [] if want_attentions else None
    mask = None if attention_mask is None else _mask(attention_mask.to(x.device))
    for layer, block in enumerate(blocks):
        if want_hidden:
            hidden.append(x)
        x = block(x, cache, layer, mask, attentions)
    return Trace(x, tuple(hidden), tuple(attentions or ()))


def _mask(attention_mask: Tensor) -> Tensor | None:
    """True where a position may be seen; None where all may, unless a graph is being recorded that must hold
    for other masks too."""
    mask = attention_mask.to(torch.bool)
    recording = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined,no-untyped-call]
    return mask if recording or not bool(mask.all()) else None
