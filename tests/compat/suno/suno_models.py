"""What the tests of other people's names run on: random checkpoints and random voices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openbark.config import BarkConfig, EncodecConfig

TINY_CHARACTERS = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,?!'-"


def any_text_tokenizer() -> str:
    """One token for each of some characters, and one for everything else, as BERT has."""
    from tokenizers import Tokenizer, models

    vocabulary = {"[UNK]": 0, **{character: n for n, character in enumerate(TINY_CHARACTERS, 1)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    text: str = tokenizer.to_str()
    return text


def narrow_suno() -> BarkConfig:
    """Suno's vocabularies and windows on a network of a few weights."""
    plain = BarkConfig()
    size = {"n_layer": 1, "n_head": 2, "n_embd": 8}
    return replace(
        plain,
        semantic=replace(plain.semantic, **size),
        coarse=replace(plain.coarse, **size),
        fine=replace(plain.fine, **size),
        codec=EncodecConfig(
            hidden_size=8, num_filters=2, codebook_dim=8, target_bandwidths=(1.5, 6.0)
        ),
        name="narrow",
    )


def layered_suno(n_layer: int) -> BarkConfig:
    """Suno's vocabularies, windows and codec around thin transformers; from 24 layers on it is a large one."""
    plain = BarkConfig()
    size = {"n_layer": n_layer, "n_head": 2, "n_embd": 8}
    return replace(
        plain,
        semantic=replace(plain.semantic, **size),
        coarse=replace(plain.coarse, **size),
        fine=replace(plain.fine, **size),
        name="layered",
    )


def voice_arrays(config: BarkConfig, n_semantic: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    frames = int(n_semantic * config.frames_per_semantic)
    fine = generator.integers(0, config.codebook_size, (config.fine_rules.n_codebooks, frames))
    return {
        "semantic_prompt": generator.integers(
            0, config.semantic_rules.semantic_vocab_size, n_semantic
        ),
        "coarse_prompt": fine[: config.coarse_rules.n_codebooks],
        "fine_prompt": fine,
    }
