"""The other side of the parity tests: a random Bark in transformers, run greedily, stage by stage.

Weights travel as a folder, so every comparison also proves that transformers loads what we write.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BarkModel
from transformers.models.bark.generation_configuration_bark import (
    BarkCoarseGenerationConfig,
    BarkFineGenerationConfig,
    BarkSemanticGenerationConfig,
)

from openbark.backends.base import CausalSession
from openbark.backends.torch.backend import TorchBackend
from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.layouts.generation_json import generation_json
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS, GenerationParams
from openbark.stages.coarse import coarse_ids
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

Tokens = NDArray[np.int64]

GREEDY = GenerationParams.greedy()


@dataclass(frozen=True)
class RandomVoice:
    """Arrays of a voice, as both sides take them."""

    semantic: Tokens
    coarse: Tokens
    fine: Tokens

    def for_transformers(self) -> dict[str, torch.Tensor]:
        return {
            "semantic_prompt": torch.from_numpy(self.semantic.copy()),
            "coarse_prompt": torch.from_numpy(self.coarse.copy()),
            "fine_prompt": torch.from_numpy(self.fine.copy()),
        }


def random_voice(config: BarkConfig, n_semantic: int, seed: int = 0) -> RandomVoice:
    generator = np.random.default_rng([seed, n_semantic])
    n_frames = int(n_semantic * config.frames_per_semantic)
    fine = generator.integers(0, config.codebook_size, (config.fine_rules.n_codebooks, n_frames))
    semantic = generator.integers(0, config.semantic_rules.semantic_vocab_size, n_semantic)
    return RandomVoice(semantic, fine[: config.coarse_rules.n_codebooks].copy(), fine)


class Oracle:
    """transformers.BarkModel in float64 with the weights of a checkpoint folder."""

    def __init__(self, folder: Path, config: BarkConfig) -> None:
        self.config = config
        self.model = BarkModel.from_pretrained(folder).double().eval()
        plain = generation_json(config, SUNO_PARAMS)
        greedy = {"do_sample": False, "temperature": 1.0, "top_k": None}
        self.semantic_config = BarkSemanticGenerationConfig(**plain["semantic_config"] | greedy)
        self.coarse_config = BarkCoarseGenerationConfig(**plain["coarse_acoustics_config"] | greedy)
        self.fine_config = BarkFineGenerationConfig(**plain["fine_acoustics_config"] | greedy)

    def padded_text(self, text_tokens: Tokens) -> dict[str, torch.Tensor]:
        """Ids and mask as BarkProcessor makes them."""
        slots = self.config.semantic_rules.max_text_tokens
        ids = torch.zeros(1, slots, dtype=torch.int64)
        mask = torch.zeros(1, slots, dtype=torch.int64)
        ids[0, : len(text_tokens)] = torch.from_numpy(text_tokens)
        mask[0, : len(text_tokens)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    @torch.no_grad()
    def semantic(self, text_tokens: Tokens, voice: RandomVoice | None, limit: int) -> Tokens:
        """Semantic tokens; transformers keeps the end token, which is cut here."""
        output = self.model.semantic.generate(
            **self.padded_text(text_tokens),
            semantic_generation_config=self.semantic_config,
            history_prompt=None if voice is None else voice.for_transformers(),
            max_new_tokens=limit,
        )[0].numpy()
        ends = np.flatnonzero(output == self.config.semantic_rules.eos_token)
        tokens: Tokens = output[: ends[0]] if len(ends) else output
        return tokens.astype(np.int64)

    @torch.no_grad()
    def coarse(self, semantic: Tokens, voice: RandomVoice | None) -> Tokens:
        flat = self.model.coarse_acoustics.generate(
            torch.from_numpy(semantic.copy())[None],
            semantic_generation_config=self.semantic_config,
            coarse_generation_config=self.coarse_config,
            codebook_size=self.config.codebook_size,
            history_prompt=None if voice is None else voice.for_transformers(),
        )[0].numpy()
        config = self.config
        assert flat.max() < config.coarse_offset + 2 * config.codebook_size, "leak of parity B7"
        codes: Tokens = flat.reshape(-1, config.coarse_rules.n_codebooks).T - config.coarse_offset
        return codes - config.codebook_size * np.arange(len(codes))[:, None]

    @torch.no_grad()
    def fine(self, coarse: Tokens, voice: RandomVoice | None) -> Tokens:
        output = self.model.fine_acoustics.generate(
            torch.from_numpy(coarse_ids(coarse, self.config))[None],
            semantic_generation_config=self.semantic_config,
            coarse_generation_config=self.coarse_config,
            fine_generation_config=self.fine_config,
            codebook_size=self.config.codebook_size,
            history_prompt=None if voice is None else voice.for_transformers(),
        )
        tokens: Tokens = output[0].numpy().astype(np.int64)
        return tokens


class CachedNetwork:
    """A backend whose uncached calls go through its cached sessions: the reference loop then tests those."""

    def __init__(self, backend: TorchBackend) -> None:
        self.config = backend.config
        self.backend = backend
        self.n_steps = 0
        self._sessions: dict[Stage, CausalSession] = {}
        self._seen: dict[Stage, Tokens] = {}

    def causal_logits(self, stage: Stage, prompt: Prompt) -> NDArray[Any]:
        if stage not in self._sessions:
            self._sessions[stage] = self.backend.session(stage)
        before = self._seen.get(stage, np.zeros(0, dtype=np.int64))
        self._seen[stage] = prompt.ids
        if len(before) > 0 and np.array_equal(prompt.ids[:-1], before):
            self.n_steps += 1
            return self._sessions[stage].step(int(prompt.ids[-1]))
        return self._sessions[stage].prefill(prompt)

    def fine_logits(self, codes: Tokens, k: int) -> NDArray[Any]:
        return self.backend.fine_logits(codes, k)


def make_pair(
    config: BarkConfig, folder: Path, seed: int, eos_logit_zero: bool = True
) -> tuple[Oracle, TorchBackend]:
    """The same random weights in transformers and here, both in float64.

    Ids behind the last coarse codebook get logit 0, since transformers may draw them (parity B7, B8).
    """
    tensors = random_checkpoint(config, seed)
    after = config.coarse_offset + config.coarse_rules.n_codebooks * config.codebook_size
    tensors["coarse_acoustics.lm_head.weight"][after:] = 0.0
    if eos_logit_zero:
        tensors["semantic.lm_head.weight"][config.semantic_rules.eos_token] = 0.0
    save_checkpoint(folder, config, tensors, SUNO_PARAMS, None)
    checkpoint = open_checkpoint(folder, need_tokenizer=False)
    assert checkpoint.config == config
    return Oracle(folder, config), TorchBackend.load(checkpoint, dtype="float64", threads=1)
