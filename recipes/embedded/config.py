"""What the embedded model is: its sizes, its token layout, its character tokenizer.

A Bark in every respect but size: semantic tokens at 50 Hz (phone x third x pitch bin), a 50 Hz codec of eight
codebooks, two of them coarse. All figures end up in the checkpoint's config files; nothing else reads this module.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from openbark.config import (
    BarkConfig,
    CoarseRules,
    FineGPTConfig,
    FineRules,
    GPTConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
    SemanticRules,
)

CHARACTERS = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ',.?!-:;\"()[]"
"""Every character the embedded model reads; digits are spelled out before."""


def character_tokenizer_json() -> str:
    """A `tokenizer.json` whose tokens are single characters, in the order of `CHARACTERS`."""
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": ""},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {character: index for index, character in enumerate(CHARACTERS)},
            "merges": [],
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def embedded_config(semantic_vocab_size: int, pitch_bins: int = 4) -> BarkConfig:
    """The embedded model's config for a semantic vocabulary of that size, `pitch_bins` tokens to a unit."""
    text_offset = semantic_vocab_size + 1
    text_pad = text_offset + len(CHARACTERS)
    codebook_size, n_coarse, n_fine = 1024, 2, 8
    after_coarse = semantic_vocab_size + n_coarse * codebook_size
    return BarkConfig(
        semantic=GPTConfig(
            block_size=97 + 415,
            input_vocab_size=text_pad + 2,
            output_vocab_size=semantic_vocab_size + 1,
            n_layer=4,
            n_head=4,
            n_embd=256,
        ),
        coarse=GPTConfig(
            block_size=288,
            input_vocab_size=after_coarse + 2,
            output_vocab_size=after_coarse,
            n_layer=4,
            n_head=4,
            n_embd=192,
        ),
        fine=FineGPTConfig(
            block_size=256,
            input_vocab_size=codebook_size + 1,
            output_vocab_size=codebook_size + 1,
            n_layer=3,
            n_head=4,
            n_embd=64,
            n_codes_total=n_fine,
            n_codes_given=1,
        ),
        codec=IstftCodecConfig(codebook_size=codebook_size, n_codebooks=n_fine),
        semantic_rules=SemanticRules(
            semantic_vocab_size=semantic_vocab_size,
            text_encoding_offset=text_offset,
            text_pad_token=text_pad,
            semantic_pad_token=semantic_vocab_size,
            eos_token=semantic_vocab_size,
            infer_token=text_pad + 1,
            max_text_tokens=96,
            rate_hz=50.0,
            max_new_tokens=415,
        ),
        coarse_rules=CoarseRules(
            semantic_pad_token=after_coarse,
            infer_token=after_coarse + 1,
            rate_hz=50.0,
            n_codebooks=n_coarse,
            max_semantic_input=100,
            max_history=150,
            sliding_window=30,
        ),
        fine_rules=FineRules(n_codebooks=n_fine, max_history=128, max_input=256),
        codebook_size=codebook_size,
        semantic_encoder=SemanticEncoderConfig(
            vocab_size=semantic_vocab_size, pitch_bins=pitch_bins
        ),
        text_normalizer="en",
        name="openbark-embedded",
        languages=("en",),
    )


def voice_config(semantic_vocab_size: int) -> BarkConfig:
    """The second edition: whole sentences, the harmonic codec, three seconds of voice history.

    The coarse window holds 150 frames of history, 75 new ones and 15 frames of semantic tokens ahead: short windows
    would spend most of the time reading the same history again.
    """
    base = embedded_config(semantic_vocab_size, pitch_bins=6)
    rules = base.coarse_rules
    max_text, max_new = 128, 511
    history, window, ahead = 300, 150, 15
    semantic_input = (history + window) // rules.n_codebooks + ahead
    return replace(
        base,
        semantic=replace(base.semantic, block_size=max_text + 1 + max_new, n_layer=6),
        semantic_rules=replace(
            base.semantic_rules, max_text_tokens=max_text, max_new_tokens=max_new
        ),
        coarse=replace(
            base.coarse,
            block_size=semantic_input + 1 + history + window,
            n_layer=6,
            n_embd=256,
        ),
        coarse_rules=replace(
            rules, max_semantic_input=semantic_input, max_history=history, sliding_window=window
        ),
        fine=replace(base.fine, n_layer=4, n_embd=128),
        codec=HarmonicCodecConfig(),
        semantic_encoder=SemanticEncoderConfig(
            dim=128, n_layer=5, vocab_size=semantic_vocab_size, pitch_bins=6
        ),
    )
