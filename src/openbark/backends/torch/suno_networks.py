"""Suno's `GPT` and `FineGPT` as torch modules: its constructor, calls and state-dict keys (docs/parity.md S21-S23, C1).

The blocks are those of `gpt`; here they get Suno's names, so that a state dict of a `.pt` file loads strictly
and a script that calls or trains the networks runs. Knows no sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from openbark.backends.torch.fine import FineGPT as StageFineGPT
from openbark.backends.torch.gpt import Block, CausalGPT, KVCache
from openbark.checkpoints.layouts.suno_folder import SunoFile, read_suno_file
from openbark.checkpoints.layouts.suno_names import to_suno
from openbark.config import FineGPTConfig, GPTConfig
from openbark.errors import CheckpointCorruptError, CheckpointNotFoundError, ParamError

KeysValues = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values [B, H, T, D/H] of each layer."""

_N_SUMMED = 256
_CAUSAL_SIZES = (
    "block_size",
    "input_vocab_size",
    "output_vocab_size",
    "n_layer",
    "n_head",
    "n_embd",
    "dropout",
    "bias",
)
_FINE_SIZES = (*_CAUSAL_SIZES, "n_codes_total", "n_codes_given")


class _Network(nn.Module):
    """Blocks under Suno's names. The same layers are in both trees, so loading and moving reach them."""

    def __init__(self, sizes: GPTConfig, tables: dict[str, nn.Module], blocks: list[Block]) -> None:
        super().__init__()
        self._blocks: Sequence[Block] = tuple(blocks)
        parts: dict[str, nn.Module] = {
            **tables,
            "wpe": nn.Embedding(sizes.block_size, sizes.n_embd),
            "drop": nn.Dropout(sizes.dropout),
            "h": nn.ModuleList(_named(block) for block in blocks),
            "ln_f": nn.LayerNorm(sizes.n_embd, bias=blocks[0].layernorm_1.bias is not None),
        }
        self.transformer = nn.ModuleDict(parts)

    def train(self, mode: bool = True) -> Any:
        """Switch training mode, of the blocks too."""
        for block in self._blocks:
            block.train(mode)
        return super().train(mode)

    def get_num_params(self, non_embedding: bool = True) -> int:
        """Number of weights, by default without the tables of inputs and positions (S23)."""
        count = sum(parameter.numel() for parameter in self.parameters())
        if not non_embedding:
            return count
        tables = [name for name in self.transformer if name in ("wte", "wtes", "wpe")]
        return count - sum(
            weight.numel() for name in tables for weight in self.transformer[name].parameters()
        )

    def _hidden(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        x = self.transformer["drop"](x)
        for index, block in enumerate(self._blocks):
            x = block(x, cache, index)
        return x


class GPT(_Network):
    """The text or the coarse model: token ids to the logits after the last of them."""

    def __init__(self, config: Any) -> None:
        """Fresh random weights. `config` has the fields of Suno's GPTConfig (S20). Raises
        CheckpointCorruptError for sizes that cannot be."""
        sizes = GPTConfig(**{name: getattr(config, name) for name in _CAUSAL_SIZES})
        blocks = [Block(sizes, causal=True, norm_bias=sizes.bias) for _ in range(sizes.n_layer)]
        table = nn.Embedding(sizes.input_vocab_size, sizes.n_embd)
        super().__init__(sizes, {"wte": table}, blocks)
        self.config = config
        self._sizes = sizes
        self.n_summed = _N_SUMMED
        """Text slots that a history is added to: Suno's, unless a checkpoint has others."""
        self.lm_head = nn.Linear(sizes.n_embd, sizes.output_vocab_size, bias=False)

    def forward(
        self,
        idx: Tensor,
        merge_context: bool = False,
        past_kv: KeysValues | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool = False,
    ) -> tuple[Tensor, KeysValues | None]:
        """ids [B, T] -> logits [B, 1, V] after the last, and with `use_cache` the keys and values so far.

        `merge_context`: ids 256..511 are added to ids 0..255 and take no positions of their own. With
        `past_kv` one id follows those that made it. Raises ParamError for other lengths.
        """
        table = self.transformer["wte"]
        start = 0 if past_kv is None else past_kv[0][0].shape[2]
        if past_kv is not None and idx.shape[1] != 1:
            raise ParamError(f"with past_kv idx has one id for each row, has {idx.shape[1]}")
        if merge_context and past_kv is None:
            slots = self.n_summed
            if idx.shape[1] <= 2 * slots:
                raise ParamError(
                    f"with merge_context idx has more than {2 * slots} ids, has {idx.shape[1]}"
                )
            summed = table(idx[:, :slots]) + table(idx[:, slots : 2 * slots])
            x = torch.cat([summed, table(idx[:, 2 * slots :])], dim=1)
        else:
            x = table(idx)
        length = x.shape[1]
        if start + length > self._sizes.block_size:
            raise ParamError(f"{start + length} positions; allowed: 1..{self._sizes.block_size}")
        if position_ids is None:
            position_ids = torch.arange(start, start + length, device=idx.device)[None]
        cache = self._cache(x, past_kv, length) if use_cache or past_kv is not None else None
        x = self._hidden(x + self.transformer["wpe"](position_ids), cache)
        logits = self.lm_head(self.transformer["ln_f"](x[:, -1:]))
        if cache is None or not use_cache:
            return logits, None
        return logits, tuple(zip(cache.keys, cache.values, strict=True))

    def as_stage(self) -> CausalGPT:
        """The same layers as the module that backends compute with."""
        with torch.device("meta"):
            stage = CausalGPT(self._sizes)
        stage.input_embeds_layer = self.transformer["wte"]  # type: ignore[assignment]
        stage.position_embeds_layer = self.transformer["wpe"]  # type: ignore[assignment]
        stage.layers = nn.ModuleList(self._blocks)
        stage.layernorm_final = self.transformer["ln_f"]  # type: ignore[assignment]
        stage.lm_head = self.lm_head
        return stage.eval()

    def _cache(self, like: Tensor, past: KeysValues | None, n_new: int) -> KVCache:
        """Room for exactly the past and the new positions: the caller's `past` is never written to."""
        start = 0 if past is None else past[0][0].shape[2]
        sizes = self._sizes
        shape = (sizes.n_layer, like.shape[0], sizes.n_head, start + n_new, sizes.head_dim)
        cache = KVCache(like.new_empty(shape), like.new_empty(shape))
        for layer, (keys, values) in enumerate(past or ()):
            cache.append(layer, keys, values)
        cache.length = start
        return cache


class FineGPT(_Network):
    """The fine model: codes, and the number of a codebook, to that codebook's logits."""

    def __init__(self, config: Any) -> None:
        """Fresh random weights. `config` has the fields of Suno's FineGPTConfig (S20). Raises
        CheckpointCorruptError for sizes that cannot be."""
        sizes = FineGPTConfig(**{name: getattr(config, name) for name in _FINE_SIZES})
        blocks = [Block(sizes, causal=False, norm_bias=True) for _ in range(sizes.n_layer)]
        tables = nn.ModuleList(
            nn.Embedding(sizes.input_vocab_size, sizes.n_embd) for _ in range(sizes.n_codes_total)
        )
        super().__init__(sizes, {"wtes": tables}, blocks)
        self.config = config
        self._sizes = sizes
        self.lm_heads = nn.ModuleList(
            nn.Linear(sizes.n_embd, sizes.output_vocab_size, bias=False)
            for _ in range(sizes.n_codes_total - sizes.n_codes_given)
        )
        for index, head in enumerate(self.lm_heads):
            head.weight = tables[index + 1].weight

    def as_stage(self) -> StageFineGPT:
        """The same layers as the module that backends compute with."""
        with torch.device("meta"):
            stage = StageFineGPT(self._sizes)
        stage.input_embeds_layers = self.transformer["wtes"]  # type: ignore[assignment]
        stage.position_embeds_layer = self.transformer["wpe"]  # type: ignore[assignment]
        stage.layers = nn.ModuleList(self._blocks)
        stage.layernorm_final = self.transformer["ln_f"]  # type: ignore[assignment]
        return stage.eval()

    def forward(self, pred_idx: int, idx: Tensor) -> Tensor:
        """Codes [B, T, K] -> logits [B, T, V] of codebook `pred_idx`; codebooks 0..pred_idx are read.

        Raises ParamError for a codebook that is given, or is not there, and for other shapes.
        """
        sizes = self._sizes
        if not sizes.n_codes_given <= pred_idx < sizes.n_codes_total:
            raise ParamError(
                f"pred_idx is {pred_idx}; allowed: {sizes.n_codes_given}..{sizes.n_codes_total - 1}"
            )
        if idx.ndim != 3 or idx.shape[2] != sizes.n_codes_total or idx.shape[1] > sizes.block_size:
            raise ParamError(
                f"idx has shape {list(idx.shape)}; allowed: [B, 1..{sizes.block_size}, "
                f"{sizes.n_codes_total}]"
            )
        tables = self.transformer["wtes"]
        x = self.transformer["wpe"](torch.arange(idx.shape[1], device=idx.device)[None])
        for k in range(pred_idx + 1):
            x = x + tables[k](idx[:, :, k])  # type: ignore[index]
        x = self.transformer["ln_f"](self._hidden(x))
        logits: Tensor = self.lm_heads[pred_idx - sizes.n_codes_given](x)
        return logits


def _named(block: Block) -> nn.ModuleDict:
    """The layers of a block under Suno's names."""
    attention, mlp = block.attn, block.mlp
    return nn.ModuleDict(
        {
            "ln_1": block.layernorm_1,
            "attn": nn.ModuleDict({"c_attn": attention.att_proj, "c_proj": attention.out_proj}),
            "ln_2": block.layernorm_2,
            "mlp": nn.ModuleDict({"c_fc": mlp.in_proj, "c_proj": mlp.out_proj}),
        }
    )


def read_network(file: Path, stage: str) -> GPT | FineGPT:
    """The network of one of Suno's `.pt` files on the CPU, in evaluation mode; `stage` is "text", "coarse"
    or "fine".

    Raises CheckpointNotFoundError for a file that holds another one, CheckpointCorruptError for tensors
    that do not fit its sizes, and what `read_suno_file` raises.
    """
    found = read_suno_file(file)
    if not isinstance(found, SunoFile) or found.stage != stage:
        kind = (
            f"Suno's {found.stage} model" if isinstance(found, SunoFile) else "no model of Suno's"
        )
        raise CheckpointNotFoundError(f"{file} holds {kind}, not the {stage} model")
    sizes = found.config
    network = FineGPT(sizes) if isinstance(sizes, FineGPTConfig) else GPT(sizes)
    state = {
        to_suno(name.partition(".")[2]): torch.from_numpy(np.array(tensor.read()))
        for name, tensor in found.tensors.items()
        if not name.endswith(".attn.bias")
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointCorruptError(f"{file}: {' '.join(str(error).split())}") from error
    return network.eval()
