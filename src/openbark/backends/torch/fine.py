"""The non-causal transformer of the fine stage: eight summed embeddings in, one codebook's logits out.

Each head shares its weights with the embedding of the codebook it predicts (docs/parity.md S22, C2). Attribute names
are the Hugging Face checkpoint's key names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.backends.torch.gpt import Block
from openbark.config import FineGPTConfig


class FineGPT(nn.Module):
    """Codes of a window, and a codebook's number, to that codebook's logits at every frame."""

    def __init__(self, config: FineGPTConfig) -> None:
        super().__init__()
        self.config = config
        self.input_embeds_layers = nn.ModuleList(
            nn.Embedding(config.input_vocab_size, config.n_embd)
            for _ in range(config.n_codes_total)
        )
        self.position_embeds_layer = nn.Embedding(config.block_size, config.n_embd)
        self.layers = nn.ModuleList(
            Block(config, causal=False, norm_bias=True) for _ in range(config.n_layer)
        )
        self.layernorm_final = nn.LayerNorm(config.n_embd)

    def forward(self, codes: Tensor, k: int) -> Tensor:
        """Codes [B, K, N] -> logits [B, N, V] of codebook k, n_codes_given <= k < n_codes_total.

        Embeddings of codebooks 0..k are summed, k included: its slot holds padding or an older guess.
        """
        config = self.config
        if not config.n_codes_given <= k < config.n_codes_total:
            raise ValueError(
                f"k is {k}; allowed: {config.n_codes_given}..{config.n_codes_total - 1}"
            )
        x = self.position_embeds_layer(torch.arange(codes.shape[2], device=codes.device))
        for level in range(k + 1):
            x = x + self.input_embeds_layers[level](codes[:, level])
        for block in self.layers:
            x = block(x)
        head = self.input_embeds_layers[k - config.n_codes_given + 1].weight
        return F.linear(self.layernorm_final(x), head)  # type: ignore[arg-type]
