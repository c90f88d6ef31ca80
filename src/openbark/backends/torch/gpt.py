"""The causal transformer of the semantic and coarse stages, with and without a preallocated KV cache.

Pre-norm, exact-erf GELU, learned positions, LayerNorm epsilon 1e-5 (docs/parity.md S21). Attribute names are the Hugging
Face checkpoint's key names (C1). Knows tokens and logits, not what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.config import GPTConfig


@dataclass
class KVCache:
    """Keys and values of every layer for B rows, allocated once for `block_size` positions.

    keys, values: [n_layer, B, H, block_size, D/H]; the first `length` positions are filled.
    """

    keys: Tensor
    values: Tensor
    length: int = 0

    @classmethod
    def empty(cls, config: GPTConfig, rows: int, like: Tensor) -> Self:
        """Room for `rows` sequences on the device and in the dtype of `like`."""
        shape = (config.n_layer, rows, config.n_head, config.block_size, config.head_dim)
        return cls(like.new_empty(shape), like.new_empty(shape))

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [B, H, T, D/H] of a layer; return all filled ones, these included."""
        stop = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : stop] = keys
        self.values[layer, :, :, self.length : stop] = values
        return self.keys[layer, :, :, :stop], self.values[layer, :, :, :stop]


class Attention(nn.Module):
    """Multi-head self-attention over one fused projection."""

    def __init__(self, config: GPTConfig, *, causal: bool) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.causal = causal
        self.att_proj = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.out_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fused = self.att_proj(x).unflatten(-1, (3, self.n_head, -1))  # [B, T, 3, H, D/H]
        query, key, value = fused.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def forward(
        self,
        x: Tensor,
        cache: KVCache | None = None,
        layer: int = 0,
        mask: Tensor | None = None,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """Attend within x [B, T, D], and to the cache before it when there is one.

        mask [B, past + T]: False hides a position from every query. The attention weights [B, H, T, S] are
        appended to `weights`. Either is computed in plain operations, which agree to rounding.
        """
        query, key, value = self._heads(x)
        if cache is not None:
            key, value = cache.append(layer, key, value)
        if mask is not None or weights is not None:
            shares = self._shares(query, key, mask)
            mixed = shares @ value
            if weights is not None:
                weights.append(shares)
        elif self.training and cache is None and _is_cpu_bfloat16(query):
            mixed = self._explicit(query, key, value)
        else:
            mixed = self._fused(query, key, value)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _fused(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        n_new, n_all = query.shape[2], key.shape[2]
        mask = None
        # A trace holds for other lengths too, so it may not depend on a comparison of these.
        if self.causal and (torch.jit.is_tracing() or 1 < n_new < n_all):  # type: ignore[attr-defined,no-untyped-call]
            mask = query.new_ones(n_new, n_all, dtype=torch.bool).tril(n_all - n_new)
        is_causal = self.causal and mask is None and n_new == n_all > 1
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=is_causal
        )

    def _explicit(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The same attention in four plain operations: on a CPU in bfloat16, forward and backward
        together take half the time of the fused kernel at a few hundred positions. In float32 the fused kernel
        takes 0.75 of the time of these (8 x 690 positions, AVX2), as it keeps no [T, T] scores."""
        rows, _, length, width = query.shape
        scores = query.flatten(0, 1) @ (key.flatten(0, 1) * width**-0.5).transpose(1, 2)
        if self.causal:
            hidden = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
            scores = scores + scores.new_zeros(length, length).masked_fill(hidden, float("-inf"))
        mixed = torch.softmax(scores, dim=-1).to(value.dtype) @ value.flatten(0, 1)
        return mixed.view(rows, self.n_head, length, width)

    def _shares(self, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights [B, H, T, S]."""
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        # The smallest number instead of -inf: a row that sees nothing then averages instead of giving NaN.
        hidden = torch.finfo(scores.dtype).min
        n_new, n_all = scores.shape[-2:]
        if self.causal:
            future = torch.ones(n_new, n_all, dtype=torch.bool, device=query.device)
            scores = scores.masked_fill(future.triu(n_all - n_new + 1), hidden)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :n_all], hidden)
        return F.softmax(scores, dim=-1)

    def scores(self, x: Tensor, head: int) -> Tensor:
        """Unmasked attention logits [B, T, T] of one head, for training objectives that guide it."""
        query, key, _ = self._heads(x)
        scale = query.shape[-1] ** -0.5
        logits: Tensor = query[:, head].float() @ key[:, head].float().transpose(1, 2) * scale
        return logits


def _is_cpu_bfloat16(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.bfloat16


class MLP(nn.Module):
    """Two linear maps around an exact GELU."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.in_proj = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.out_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, D] -> [B, T, D]."""
        return self.out_proj(F.gelu(self.in_proj(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """One pre-norm transformer block. `norm_bias` is separate because the fine stage's norms always have one."""

    def __init__(self, config: GPTConfig, *, causal: bool, norm_bias: bool) -> None:
        super().__init__()
        self.layernorm_1 = nn.LayerNorm(config.n_embd, bias=norm_bias)
        self.attn = Attention(config, causal=causal)
        self.layernorm_2 = nn.LayerNorm(config.n_embd, bias=norm_bias)
        self.mlp = MLP(config)
        self.dropout = config.dropout

    def forward(
        self,
        x: Tensor,
        cache: KVCache | None = None,
        layer: int = 0,
        mask: Tensor | None = None,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """x [B, T, D] -> [B, T, D]; `mask` and `weights` as in `Attention`."""
        x = x + self._drop(self.attn(self.layernorm_1(x), cache, layer, mask, weights))
        return x + self._drop(self.mlp(self.layernorm_2(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class CausalGPT(nn.Module):
    """Token ids to next-token logits."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.input_embeds_layer = nn.Embedding(config.input_vocab_size, config.n_embd)
        self.position_embeds_layer = nn.Embedding(config.block_size, config.n_embd)
        self.layers = nn.ModuleList(
            Block(config, causal=True, norm_bias=config.bias) for _ in range(config.n_layer)
        )
        self.layernorm_final = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.lm_head = nn.Linear(config.n_embd, config.output_vocab_size, bias=False)

    def embed(self, ids: Tensor, summed: Tensor | None = None, start: int = 0) -> Tensor:
        """Embeddings [B, T, D] of ids [B, T] at positions `start`..; the first M positions also receive
        those of `summed` [B, M] (the voice's history on the text slots, S21)."""
        x = self.input_embeds_layer(ids)
        if summed is not None:
            n_summed = summed.shape[1]
            both = x[:, :n_summed] + self.input_embeds_layer(summed)
            x = torch.cat([both, x[:, n_summed:]], dim=1)
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        return x + self.position_embeds_layer(positions)  # type: ignore[no-any-return]

    def forward(
        self, ids: Tensor, summed: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """Hidden states [B, T, D] after the final norm; with a cache, of the new positions only."""
        x = self.embed(ids, summed, cache.length if cache else 0)
        for index, block in enumerate(self.layers):
            x = block(x, cache, index)
        if cache is not None:
            cache.length += ids.shape[1]
        return self.layernorm_final(x)  # type: ignore[no-any-return]

    def forward_guided(
        self, ids: Tensor, summed: Tensor | None, layer: int, head: int
    ) -> tuple[Tensor, Tensor]:
        """As `forward` without a cache, and the attention logits [B, T, T] of one head."""
        x = self.embed(ids, summed)
        scores = x.new_zeros(0)
        for index, block in enumerate(self.layers):
            if index == layer:
                scores = block.attn.scores(block.layernorm_1(x), head)  # type: ignore[operator, union-attr]
            x = block(x)
        return self.layernorm_final(x), scores


def initialise(
    module: nn.Module, n_layer: int, generator: torch.Generator, std: float = 0.02
) -> None:
    """Draw fresh weights: normal(0, std) for linear maps and embeddings, residual outputs scaled down by
    sqrt(2 * n_layer) (GPT-2), norms at one, biases at zero."""
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            if parameter.ndim < 2:
                parameter.fill_(1.0 if "layernorm" in name and name.endswith("weight") else 0.0)
            else:
                scale = (2 * n_layer) ** -0.5 if "out_proj" in name else 1.0
                parameter.normal_(0.0, std * scale, generator=generator)
