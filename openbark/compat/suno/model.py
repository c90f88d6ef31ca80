"""`bark.model` and `bark.model_fine`: the configurations that Suno's checkpoints are described by (S20)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FineGPTConfig", "GPTConfig"]


@dataclass
class GPTConfig:
    """Sizes of the text or the coarse model, with Suno's defaults. `openbark.config` has ours."""

    block_size: int = 1024
    input_vocab_size: int = 10_048
    output_vocab_size: int = 10_048
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True


@dataclass
class FineGPTConfig(GPTConfig):
    """Sizes of the fine model, with Suno's defaults."""

    n_codes_total: int = 8
    n_codes_given: int = 1
