"""`BarkFineModel`, the fine stage under transformers' names (docs/parity.md H11)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.backends.torch.gpt import Block, initialise
from openbark.compat.transformers.configuration import BarkFineConfig, BarkSubModelConfig
from openbark.compat.transformers.generation_configuration import (
    BarkCoarseGenerationConfig,
    BarkFineGenerationConfig,
    BarkSemanticGenerationConfig,
)
from openbark.compat.transformers.generation_options import stage_options
from openbark.compat.transformers.modeling_base import required
from openbark.compat.transformers.modeling_causal import gpt_config
from openbark.compat.transformers.modeling_part import BarkPartModel, resized
from openbark.compat.transformers.outputs import MaskedLMOutput
from openbark.compat.transformers.trunk import run_blocks
from openbark.errors import InputError, ParamError, TrainingError


class BarkFineModel(BarkPartModel):
    """The non-causal transformer; each head shares its weights with an embedding."""

    config_class: ClassVar[type[BarkSubModelConfig]] = BarkFineConfig
    base_model_prefix: ClassVar[str] = "fine_acoustics"
    main_input_name: ClassVar[str] = "codebook_idx"

    def __init__(self, config: BarkFineConfig) -> None:
        super().__init__(config)
        self.config: BarkFineConfig = config
        self.n_codes_total = config.n_codes_total
        sizes = gpt_config(config)
        self.sizes = sizes
        self.input_embeds_layers = nn.ModuleList(
            nn.Embedding(sizes.input_vocab_size, sizes.n_embd) for _ in range(config.n_codes_total)
        )
        self.position_embeds_layer = nn.Embedding(sizes.block_size, sizes.n_embd)
        self.drop = nn.Dropout(sizes.dropout)
        self.layers = nn.ModuleList(
            Block(sizes, causal=False, norm_bias=True) for _ in range(sizes.n_layer)
        )
        self.layernorm_final = nn.LayerNorm(sizes.n_embd)
        self.lm_heads = nn.ModuleList(
            nn.Linear(sizes.n_embd, sizes.output_vocab_size, bias=False)
            for _ in range(config.n_codes_given, config.n_codes_total)
        )
        if not self.position_embeds_layer.weight.is_meta:
            initialise(self, sizes.n_layer, torch.default_generator, config.initializer_range)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Make every head the embedding of the codebook it predicts; loading and resizing call this."""
        for index, head in enumerate(self.lm_heads):
            table = self.input_embeds_layers[index + self.config.n_codes_given]
            head.weight = table.weight

    def get_input_embeddings(self) -> nn.ModuleList:
        """The embeddings of all codebooks."""
        return self.input_embeds_layers

    def set_input_embeddings(self, new_embeddings: nn.ModuleList) -> None:
        """Replace the embeddings of all codebooks; heads follow."""
        self.input_embeds_layers = new_embeddings
        self.tie_weights()

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,
    ) -> nn.ModuleList:
        """Grow or shrink every embedding and head to `new_num_tokens`, rounded up to `pad_to_multiple_of`.

        New rows are the mean of the old ones, or random without `mean_resizing`.
        """
        size = self.config.input_vocab_size if new_num_tokens is None else new_num_tokens
        std = self.config.initializer_range
        for index, table in enumerate(self.input_embeds_layers):
            old: Tensor = table.weight.detach()  # type: ignore[operator]
            new = resized(old, size, mean_resizing, std, pad_to_multiple_of)
            self.input_embeds_layers[index] = new
        size = new.num_embeddings
        self.config.input_vocab_size = self.config.output_vocab_size = size
        self.sizes = gpt_config(self.config)
        self.tie_weights()
        return self.input_embeds_layers

    def forward(
        self,
        codebook_idx: int,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MaskedLMOutput | tuple[Any, ...]:
        """Logits [B, T, V] of codebook `codebook_idx` for codes [B, T, K].

        Embeddings of codebooks 0..codebook_idx are summed. Raises ParamError for a codebook that the coarse
        stage makes, TrainingError for `labels`.
        """
        config = self.config
        if labels is not None:
            raise TrainingError("labels are not taken here; train with openbark.training")
        if not config.n_codes_given <= codebook_idx < config.n_codes_total:
            raise ParamError(
                f"codebook_idx is {codebook_idx}; allowed: {config.n_codes_given}.."
                f"{config.n_codes_total - 1}, the ones before come from the coarse stage"
            )
        if (input_ids is None) == (inputs_embeds is None):
            raise InputError("give input_ids or inputs_embeds, one of them")
        if inputs_embeds is not None:
            x = inputs_embeds.to(self.position_embeds_layer.weight.device)
        else:
            tables = list(self.input_embeds_layers)[: codebook_idx + 1]
            x = sum(table(input_ids[:, :, k]) for k, table in enumerate(tables))  # type: ignore[index, assignment]
        if position_ids is None:
            position_ids = torch.arange(x.shape[1], device=x.device)[None]
        x = self.drop(x + self.position_embeds_layer(position_ids.to(x.device)))
        attentions = config.output_attentions if output_attentions is None else output_attentions
        hidden = (
            config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        trace = run_blocks(self.layers, x, None, attention_mask, attentions, hidden)
        last = self.layernorm_final(trace.x)
        output = MaskedLMOutput(
            logits=self.lm_heads[codebook_idx - config.n_codes_given](last),
            hidden_states=(*trace.hidden_states, last) if hidden else None,
            attentions=trace.attentions if attentions else None,
        )
        as_object = config.return_dict if return_dict is None else return_dict
        return output if as_object else output.to_tuple()

    @torch.no_grad()
    def generate(
        self,
        coarse_output: Tensor,
        semantic_generation_config: BarkSemanticGenerationConfig | None = None,
        coarse_generation_config: BarkCoarseGenerationConfig | None = None,
        fine_generation_config: BarkFineGenerationConfig | None = None,
        codebook_size: int = 1024,
        history_prompt: Mapping[str, Tensor] | None = None,
        **options: Any,
    ) -> Tensor:
        """Codes [B, K, F] of coarse ids [B, k * F] (H11).

        Their rules: only `temperature` counts; None and 1 are greedy, anything else samples, whatever
        `do_sample` says (H25); an id that leaked is taken modulo the codebook (B8).
        """
        layout = required("semantic_generation_config", semantic_generation_config)
        coarse_rules = required("coarse_generation_config", coarse_generation_config)
        rules = required("fine_generation_config", fine_generation_config)
        only_temperature = BarkFineGenerationConfig(temperature=rules.temperature)
        chosen = stage_options("fine", only_temperature, options)
        n_coarse, window = coarse_rules.n_coarse_codebooks, rules.max_fine_input_length
        rows = coarse_output.to(self.device, torch.int64).reshape(len(coarse_output), -1, n_coarse)
        codes = torch.remainder(rows - layout.semantic_vocab_size, codebook_size)
        n_frames = codes.shape[1]
        canvas = F.pad(codes, (0, rules.n_fine_codebooks - n_coarse), value=codebook_size)
        hop = rules.max_fine_history_length
        n_history = 0
        if history_prompt is not None:
            past = history_prompt["fine_prompt"].to(self.device, torch.int64).T[-hop:]
            n_history = len(past)
            canvas = torch.cat([past.expand(len(canvas), -1, -1), canvas], dim=1)
        canvas = F.pad(canvas, (0, 0, 0, max(0, window - canvas.shape[1])), value=codebook_size)
        width = canvas.shape[1]
        n_windows = max(0, math.ceil((n_frames - (window - n_history)) / hop)) + 1
        for n in range(n_windows):
            start = min(n * hop, width - window)
            fill = min(n_history + n * hop, width - hop) - start
            view = canvas[:, start : start + window]
            for k in range(n_coarse, rules.n_fine_codebooks):
                # By calling the module itself, so that hooks on it run.
                output = self(
                    k,
                    view,
                    output_attentions=False,
                    output_hidden_states=False,
                    return_dict=True,
                )
                logits: Tensor = output.logits[..., :codebook_size]
                view[:, fill:, k] = _fine_tokens(logits, fill, chosen.temperature, chosen.generator)
        return canvas.transpose(1, 2)[:, :, n_history : n_history + n_frames]


def _fine_tokens(
    logits: Tensor, fill: int, temperature: float | None, generator: torch.Generator | None
) -> Tensor:
    """Tokens [B, R] for the frames from `fill` on, of logits [B, N, V]; in the model's precision, as there."""
    if temperature is None or temperature == 1.0:
        return logits[:, fill:].argmax(dim=-1)
    shares = (logits / temperature).softmax(dim=-1)[:, fill:]
    flat = shares.reshape(-1, shares.shape[-1])
    return torch.multinomial(flat, 1, generator=generator).view(len(logits), -1)
