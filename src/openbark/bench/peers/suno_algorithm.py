"""Suno's algorithm in PyTorch: a cache that grows by concatenation, whole heads, all positions of every fine pass.

Written from the rules (docs/parity.md S21, S30-S38), not from Suno's code; the weights and blocks are those of our torch
backend. It does the same work per token as the original: one forward per step with keys and values concatenated
layer by layer, every row of the output head for the last position, softmax and a multinomial draw over what may be
drawn, a fresh prompt for each coarse window, six full fine passes of 1,024 positions per window.
"""

from __future__ import annotations

import time
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from openbark.backends.torch.backend import TorchBackend
from openbark.backends.torch.gpt import Block, CausalGPT
from openbark.bench.contestant import Round
from openbark.bench.workload import Workload, history_of, load_model, text_ids
from openbark.stages.coarse import (
    coarse_codes,
    coarse_context,
    coarse_window_prompt,
    codebook_ids,
    n_coarse_steps,
)
from openbark.stages.fine import fine_canvas, fine_windows
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt, semantic_prompt
from openbark.types import Tokens

_Pair = tuple[Tensor, Tensor]
_TEMPERATURE, _FINE_TEMPERATURE = 0.7, 0.5


class SunoAlgorithm:
    """The loops of Suno's `generation.py` over our torch modules."""

    dtype = "float32"

    def __init__(self, workload: Workload, threads: int) -> None:
        """Load."""
        torch.set_num_threads(threads)
        checkpoint = load_model(workload)
        self._backend = TorchBackend.load(checkpoint, threads=threads)
        self._config = checkpoint.config
        self._history = history_of(workload, checkpoint.config)
        self._n_semantic = workload.n_semantic(checkpoint.config)
        self.description = f"Suno's algorithm, torch {torch.__version__}, float32"

    @torch.inference_mode()
    def run(self, seed: int) -> Round:
        """One clip."""
        torch.manual_seed(seed)
        timings: dict[str, float] = {}
        clock = time.perf_counter()
        semantic = self._semantic()
        timings["semantic"], clock = time.perf_counter() - clock, time.perf_counter()
        coarse = self._coarse(semantic)
        timings["coarse"], clock = time.perf_counter() - clock, time.perf_counter()
        fine = self._fine(coarse)
        timings["fine"], clock = time.perf_counter() - clock, time.perf_counter()
        self._backend.codec_decode(fine)
        timings["codec"] = time.perf_counter() - clock
        return Round(timings, len(semantic), fine.shape[1])

    def _semantic(self) -> Tokens:
        rules = self._config.semantic_rules
        history = self._history.semantic if self._history else None
        row = GrowingRow(self._backend.causal(Stage.SEMANTIC))
        logits = row.read(semantic_prompt(text_ids(self._config), history, rules))
        drawn: list[int] = []
        while True:
            # The end token is weighed as in the original, and never taken: every contestant draws as many.
            drawable = torch.cat(
                [logits[: rules.semantic_vocab_size], logits[rules.eos_token, None]]
            )
            probabilities = F.softmax(drawable / _TEMPERATURE, dim=-1)[:-1]
            drawn.append(int(torch.multinomial(probabilities, num_samples=1).item()))
            if len(drawn) == self._n_semantic:
                return np.asarray(drawn, dtype=np.int64)
            logits = row.step(drawn[-1])

    def _coarse(self, semantic: Tokens) -> Tokens:
        config, voice = self._config, self._history
        given: tuple[Tokens | None, Tokens | None] = (
            (voice.semantic, voice.coarse) if voice else (None, None)
        )
        context = coarse_context(semantic, *given, config)
        total, window = n_coarse_steps(len(semantic), config), config.coarse_rules.sliding_window
        drawn = np.zeros(0, dtype=np.int64)
        while len(drawn) < total:
            row = GrowingRow(self._backend.causal(Stage.COARSE))
            logits = row.read(coarse_window_prompt(context, drawn, config))
            stop = min(len(drawn) + window, total)
            while True:
                ids = codebook_ids(len(drawn) % config.coarse_rules.n_codebooks, config)
                probabilities = F.softmax(logits[ids] / _TEMPERATURE, dim=-1)
                token = ids.start + int(torch.multinomial(probabilities, num_samples=1).item())
                drawn = np.append(drawn, token)
                if len(drawn) == stop:
                    break
                logits = row.step(token)
        return coarse_codes(drawn, config)

    def _fine(self, coarse: Tokens) -> Tokens:
        config = self._config
        canvas = fine_canvas(coarse, self._history.fine if self._history else None, config)
        for window in fine_windows(canvas, config):
            for k in range(len(coarse), config.fine_rules.n_codebooks):
                codes = canvas.codes[:, window.start : window.stop]
                logits = torch.from_numpy(np.asarray(self._backend.fine_logits(codes, k)))
                drawable = logits[window.fill - window.start :, : config.codebook_size]
                probabilities = F.softmax(drawable / _FINE_TEMPERATURE, dim=-1)
                drawn = torch.multinomial(probabilities, num_samples=1)[:, 0]
                canvas.codes[k, window.fill : window.stop] = drawn.numpy()
        return canvas.result()


class GrowingRow:
    """One row of a causal stage whose cache grows by concatenation."""

    def __init__(self, model: CausalGPT) -> None:
        self._model = model
        self._past: list[_Pair] = []
        self._length = 0

    def read(self, prompt: Prompt) -> Tensor:
        """Logits [V] after the prompt."""
        summed = None if prompt.summed is None else torch.from_numpy(prompt.summed)[None]
        return self._forward(self._model.embed(torch.from_numpy(prompt.ids)[None], summed))

    def step(self, token: int) -> Tensor:
        """Logits [V] after one more token."""
        return self._forward(self._model.embed(torch.tensor([[token]]), None, self._length))

    def _forward(self, x: Tensor) -> Tensor:
        present: list[_Pair] = []
        for i, layer in enumerate(self._model.layers):
            block = cast(Block, layer)
            past = self._past[i] if self._past else None
            mixed, pair = _attend(block, block.layernorm_1(x), past)
            x = x + mixed
            x = x + block.mlp(block.layernorm_2(x))
            present.append(pair)
        self._past = present
        self._length = present[0][0].shape[2]
        last = self._model.layernorm_final(x[:, -1])
        logits: Tensor = self._model.lm_head(last)[0]
        return logits


def _attend(block: Block, x: Tensor, past: _Pair | None) -> tuple[Tensor, _Pair]:
    attention = block.attn
    fused = attention.att_proj(x).unflatten(-1, (3, attention.n_head, -1))
    query, key, value = fused.permute(2, 0, 3, 1, 4)
    if past is not None:
        key = torch.cat((past[0], key), dim=2)
        value = torch.cat((past[1], value), dim=2)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2)), (key, value)
