"""`BarkCausalModel` and its two kinds, the semantic and the coarse stage, under transformers' names (H8-H10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openbark.backends.torch.gpt import Block, initialise
from openbark.compat.transformers.configuration import (
    BarkCoarseConfig,
    BarkSemanticConfig,
    BarkSubModelConfig,
)
from openbark.compat.transformers.decoding import decode
from openbark.compat.transformers.generation_configuration import (
    BarkCoarseGenerationConfig,
    BarkSemanticGenerationConfig,
)
from openbark.compat.transformers.generation_options import stage_options
from openbark.compat.transformers.modeling_base import required
from openbark.compat.transformers.modeling_part import BarkPartModel, resized
from openbark.compat.transformers.outputs import CausalLMOutputWithPast, PastKeyValues
from openbark.compat.transformers.trunk import embeddings_of, run_blocks
from openbark.config import GPTConfig
from openbark.errors import ParamError, TextError, TrainingError
from openbark.stages.coarse import ALIGNMENT_CUT

_MASKED = float("-inf")


def gpt_config(config: BarkSubModelConfig) -> GPTConfig:
    """The same sizes as OpenBark's own config. Raises CheckpointCorruptError for impossible ones."""
    return GPTConfig(
        block_size=config.block_size,
        input_vocab_size=config.input_vocab_size,
        output_vocab_size=config.output_vocab_size,
        n_layer=config.num_layers,
        n_head=config.num_heads,
        n_embd=config.hidden_size,
        bias=config.bias,
        dropout=config.dropout,
    )


class BarkCausalModel(BarkPartModel):
    """A causal transformer with a head on every position."""

    causal: ClassVar[bool] = True

    def __init__(self, config: BarkSubModelConfig) -> None:
        super().__init__(config)
        sizes = gpt_config(config)
        self.sizes = sizes
        self.input_embeds_layer = nn.Embedding(sizes.input_vocab_size, sizes.n_embd)
        self.position_embeds_layer = nn.Embedding(sizes.block_size, sizes.n_embd)
        self.drop = nn.Dropout(sizes.dropout)
        self.layers = nn.ModuleList(
            Block(sizes, causal=True, norm_bias=sizes.bias) for _ in range(sizes.n_layer)
        )
        self.layernorm_final = nn.LayerNorm(sizes.n_embd, bias=sizes.bias)
        self.lm_head = nn.Linear(sizes.n_embd, sizes.output_vocab_size, bias=False)
        if not self.lm_head.weight.is_meta:
            initialise(self, sizes.n_layer, torch.default_generator, config.initializer_range)

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding."""
        return self.input_embeds_layer

    def set_input_embeddings(self, new_embeddings: nn.Embedding) -> None:
        """Replace the token embedding."""
        self.input_embeds_layer = new_embeddings

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,
    ) -> nn.Embedding:
        """Grow or shrink the token embedding to `new_num_tokens`, rounded up to `pad_to_multiple_of`; the head
        stays, as there. New rows are the mean of the old ones, or random without `mean_resizing`."""
        old = self.input_embeds_layer.weight.detach()
        size = len(old) if new_num_tokens is None else new_num_tokens
        std = self.config.initializer_range
        self.input_embeds_layer = resized(old, size, mean_resizing, std, pad_to_multiple_of)
        self.config.input_vocab_size = self.input_embeds_layer.num_embeddings
        self.sizes = gpt_config(self.config)
        return self.input_embeds_layer

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: PastKeyValues | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutputWithPast | tuple[Any, ...]:
        """Logits [B, T, V] of all positions, of ids [B, T] or embeddings [B, T, D] (docs/parity.md H8).

        past_key_values: what an earlier call returned; it is extended in place. attention_mask [B, past + T].
        Raises TrainingError for `labels`: training is `openbark.training`.
        """
        if labels is not None:
            raise TrainingError("labels are not taken here; train with openbark.training")
        config = self.config
        x = embeddings_of(input_ids, inputs_embeds, self.input_embeds_layer)
        wants_cache = config.use_cache if use_cache is None else use_cache
        cache = past_key_values
        if cache is None and wants_cache:
            cache = PastKeyValues.empty(self.sizes, len(x), x)
        start = cache.length if cache is not None else 0
        if position_ids is None:
            self._check_room(start + x.shape[1])
            position_ids = torch.arange(start, start + x.shape[1], device=x.device)[None]
        x = self.drop(x + self.position_embeds_layer(position_ids.to(x.device)))
        attentions = config.output_attentions if output_attentions is None else output_attentions
        hidden = (
            config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        trace = run_blocks(self.layers, x, cache, attention_mask, attentions, hidden)
        if cache is not None:
            cache.length += x.shape[1]
        last = self.layernorm_final(trace.x)
        output = CausalLMOutputWithPast(
            logits=self.lm_head(last),
            past_key_values=cache,
            hidden_states=(*trace.hidden_states, last) if hidden else None,
            attentions=trace.attentions if attentions else None,
        )
        as_object = config.return_dict if return_dict is None else return_dict
        return output if as_object else output.to_tuple()

    def _check_room(self, n_positions: int) -> None:
        if not torch.jit.is_tracing() and n_positions > self.sizes.block_size:  # type: ignore[attr-defined,no-untyped-call]
            raise ParamError(
                f"{n_positions} positions do not fit this model's {self.sizes.block_size}; "
                "use a shorter prompt, or a smaller max_new_tokens"
            )

    def _stepper(self, embeds: Tensor) -> _Stepper:
        return _Stepper(self, embeds)


class _Stepper:
    """Logits after a prompt of embeddings [B, P, D], then after each token, with a cache."""

    def __init__(self, model: BarkCausalModel, embeds: Tensor) -> None:
        self._model = model
        self._embeds = embeds
        self._cache = PastKeyValues.empty(model.sizes, len(embeds), embeds)

    def __call__(self, token: Tensor | None) -> Tensor:
        # By calling the module itself, so that hooks on it run.
        output = self._model(
            input_ids=None if token is None else token[:, None],
            inputs_embeds=self._embeds if token is None else None,
            past_key_values=self._cache,
            use_cache=True,
            output_attentions=False,
            output_hidden_states=False,
            return_dict=True,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def reorder(self, rows: Tensor) -> None:
        """Let row b go on from what row `rows[b]` has seen: beams change places."""
        self._cache.reorder(rows)


class BarkSemanticModel(BarkCausalModel):
    """Text ids to semantic tokens."""

    config_class: ClassVar[type[BarkSubModelConfig]] = BarkSemanticConfig
    base_model_prefix: ClassVar[str] = "semantic"

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        semantic_generation_config: BarkSemanticGenerationConfig | None = None,
        history_prompt: Mapping[str, Tensor] | None = None,
        attention_mask: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Semantic tokens [B, T] of tokenizer ids [B, N], the end token and the padding after it included (H9).

        Fewer ids than text slots are padded. Raises TextError when more than the slots are not masked;
        ParamError for unknown options. options: see `generation_options.StageOptions`.
        """
        rules = required("semantic_generation_config", semantic_generation_config)
        chosen = stage_options("semantic", rules, options)
        text = _text_slots(input_ids, attention_mask, rules).to(self.device)
        text = text.repeat_interleave(chosen.rows_per_text, dim=0)
        slots = rules.max_input_semantic_length
        summed = torch.full((slots,), rules.pad_token, dtype=torch.int64, device=self.device)
        if history_prompt is not None:
            tail = history_prompt["semantic_prompt"][-slots:]
            summed[: len(tail)] = tail.to(self.device, torch.int64)
        infer = torch.full((len(text), 1), rules.semantic_infer_token, device=self.device)
        table = self.input_embeds_layer
        embeds = torch.cat([table(text) + table(summed)[None], table(infer)], dim=1)
        allowed = torch.zeros(self.sizes.output_vocab_size, dtype=torch.bool, device=self.device)
        allowed[: rules.semantic_vocab_size] = True
        allowed[rules.pad_token] = True
        eos = rules.eos_token_id

        def rule(n_drawn: int, scores: Tensor) -> Tensor:
            scores = scores.masked_fill(~allowed, _MASKED)
            if chosen.min_eos_p is None:
                return scores
            # Their rule: before temperature and filters, strictly more, and the end token is drawn (B3).
            ends = scores.softmax(dim=-1)[:, eos] > chosen.min_eos_p
            only_eos = torch.full_like(scores, _MASKED)
            only_eos[:, eos] = scores[:, eos]
            return torch.where(ends[:, None], only_eos, scores)

        # transformers hands its processors and streamers a prompt of ones, and so do we (H23).
        shown = torch.ones((len(text), slots + 1), dtype=torch.int64, device=self.device)
        limit = chosen.max_new_tokens or rules.get("max_new_tokens") or 768
        return decode(
            self._stepper(embeds), shown, limit, rule, chosen, chosen.ends, rules.pad_token
        )


def _text_slots(
    input_ids: Tensor, attention_mask: Tensor | None, rules: BarkSemanticGenerationConfig
) -> Tensor:
    """Model ids [B, slots] of tokenizer ids [B, N]: offset, masked ids and missing ones padding (H21)."""
    slots = rules.max_input_semantic_length
    text = torch.as_tensor(input_ids).to(torch.int64) + rules.text_encoding_offset
    if attention_mask is not None:
        mask = torch.as_tensor(attention_mask, device=text.device)
        text = text.masked_fill(mask == 0, rules.text_pad_token)
    rest = text[:, slots:]
    if bool((rest != rules.text_pad_token).any()):
        longest = int((text != rules.text_pad_token).sum(dim=1).max())
        raise TextError(
            f"the text is {longest} tokens long, this model takes at most {slots}; "
            "split it into sentences and generate them one by one"
        )
    return F.pad(text[:, :slots], (0, max(0, slots - text.shape[1])), value=rules.text_pad_token)


class BarkCoarseModel(BarkCausalModel):
    """Semantic tokens to coarse tokens."""

    config_class: ClassVar[type[BarkSubModelConfig]] = BarkCoarseConfig
    base_model_prefix: ClassVar[str] = "coarse_acoustics"

    def preprocess_histories(
        self,
        max_coarse_history: int,
        semantic_to_coarse_ratio: float,
        batch_size: int,
        semantic_generation_config: BarkSemanticGenerationConfig,
        codebook_size: int,
        history_prompt: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The voice's semantic tokens [B, H] and coarse ids [B, C], trimmed to the window (S37)."""
        if history_prompt is None:
            empty = torch.zeros((batch_size, 0), dtype=torch.int64, device=self.device)
            return empty, empty.clone()
        semantic = history_prompt["semantic_prompt"].to(self.device, torch.int64)
        codes = history_prompt["coarse_prompt"].to(self.device, torch.int64)
        offsets = codebook_size * torch.arange(len(codes), device=self.device)
        flat = (codes + offsets[:, None]).T.reshape(-1)
        coarse = flat + semantic_generation_config.semantic_vocab_size
        n_semantic = min(
            math.floor(max_coarse_history / semantic_to_coarse_ratio),
            len(semantic) - len(semantic) % 2,
            math.floor(len(coarse) / semantic_to_coarse_ratio),
        )
        n_coarse = round(n_semantic * semantic_to_coarse_ratio)
        semantic = semantic[-n_semantic:]
        coarse = coarse[-n_coarse:][:-ALIGNMENT_CUT]
        return semantic.expand(batch_size, -1), coarse.expand(batch_size, -1)

    @torch.no_grad()
    def generate(
        self,
        semantic_output: Tensor,
        semantic_generation_config: BarkSemanticGenerationConfig | None = None,
        coarse_generation_config: BarkCoarseGenerationConfig | None = None,
        codebook_size: int = 1024,
        history_prompt: Mapping[str, Tensor] | None = None,
        return_output_lengths: bool | None = None,
        **options: Any,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Coarse ids [B, k * F] of semantic tokens [B, T], and with `return_output_lengths` how many of each
        row count (H10). `semantic_output` is left as it is; transformers writes into it.

        Their rules: codebooks alternate from each window's start (B7), every row runs as long as the longest
        (H28). Raises TextError when no row holds a semantic token; ParamError for unknown options.
        """
        layout = required("semantic_generation_config", semantic_generation_config)
        rules = required("coarse_generation_config", coarse_generation_config)
        if rules.sliding_window_len % rules.n_coarse_codebooks:
            raise ParamError(
                f"sliding_window_len is {rules.sliding_window_len}; allowed: multiples of "
                f"{rules.n_coarse_codebooks}, since codebooks alternate from each window's start"
            )
        for name in ("max_new_tokens", "num_return_sequences"):
            if options.get(name) is not None:
                raise ParamError(
                    f"the coarse stage has no {name}: its length and rows follow from the semantic tokens"
                )
        chosen = stage_options("coarse", rules, options)
        pad = rules.coarse_semantic_pad_token
        semantic = semantic_output.to(self.device, torch.int64)
        semantic = semantic.masked_fill(semantic == layout.pad_token, pad)
        ratio = rules.coarse_rate_hz / layout.semantic_rate_hz * rules.n_coarse_codebooks
        lengths = _coarse_lengths(semantic, pad, ratio, rules.n_coarse_codebooks)
        n_tokens = int(lengths.max())
        if n_tokens == 0:
            raise TextError(
                "the model ended before it said anything; draw again, or give a longer text"
            )
        past, coarse = self.preprocess_histories(
            rules.max_coarse_history, ratio, len(semantic), layout, codebook_size, history_prompt
        )
        n_past, n_history = past.shape[1], coarse.shape[1]
        semantic = torch.cat([past, semantic], dim=1)
        reach = math.floor(rules.max_coarse_history / ratio)
        infer = torch.full((len(semantic), 1), rules.coarse_infer_token, device=self.device)
        rule = _alternating(layout.semantic_vocab_size, codebook_size, rules.n_coarse_codebooks)
        done = 0
        for _ in range(math.ceil(n_tokens / rules.sliding_window_len)):
            start = max(0, n_past + round(done / ratio) - reach)
            visible = semantic[:, start:][:, : rules.max_coarse_input_length]
            missing = rules.max_coarse_input_length - visible.shape[1]
            head = F.pad(visible, (0, missing), value=pad)
            prompt = torch.cat([head, infer, coarse[:, -rules.max_coarse_history :]], dim=1)
            n_new = min(rules.sliding_window_len, n_tokens - done)
            prompt = prompt.repeat_interleave(chosen.num_beams, dim=0)
            stepper = self._stepper(self.input_embeds_layer(prompt))
            drawn = decode(stepper, prompt, n_new, rule, chosen, chosen.ends, chosen.pad)
            coarse = torch.cat([coarse, drawn], dim=1)
            done += drawn.shape[1]
        whole = coarse[:, n_history:]
        return (whole, lengths) if return_output_lengths else whole


def _coarse_lengths(semantic: Tensor, pad: int, ratio: float, n_codebooks: int) -> Tensor:
    """Coarse tokens that each row's semantic tokens become, whole frames only [B] (S36)."""
    counts = (semantic != pad).sum(dim=1).tolist()
    lengths = [math.floor(count * ratio / n_codebooks) * n_codebooks for count in counts]
    return torch.tensor(lengths, dtype=torch.int32, device=semantic.device)


def _alternating(offset: int, size: int, n_codebooks: int) -> Any:
    """Their mask: the last codebook's turn is open above, so ids behind it can leak (B7)."""

    def rule(n_drawn: int, scores: Tensor) -> Tensor:
        turn = n_drawn % n_codebooks
        masked = scores.clone()
        masked[:, : offset + turn * size] = _MASKED
        if turn + 1 < n_codebooks:
            masked[:, offset + (turn + 1) * size :] = _MASKED
        return masked

    return rule
