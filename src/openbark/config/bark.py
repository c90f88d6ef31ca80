"""A Bark: its three transformers, their token layouts and windows, and the ratios between stages.

Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from openbark.config.codecs import (
    LARGEST,
    CodecConfig,
    EncodecConfig,
    SemanticEncoderConfig,
    check_between,
    check_numbers,
    require,
)


@dataclass(frozen=True, slots=True)
class GPTConfig:
    """One causal transformer: the semantic or the coarse stage (S20)."""

    block_size: int = 1024
    input_vocab_size: int = 10_048
    output_vocab_size: int = 10_048
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    bias: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_numbers("", self, ("n_layer", "n_codes_total"))
        require(
            self.n_embd % self.n_head == 0,
            f"n_embd {self.n_embd} must be a multiple of n_head {self.n_head}",
        )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.n_embd // self.n_head


@dataclass(frozen=True, slots=True)
class FineGPTConfig(GPTConfig):
    """The non-causal transformer of the fine stage: `n_codes_total` embeddings, heads for the codebooks
    from `n_codes_given` on (S22)."""

    input_vocab_size: int = 1056
    output_vocab_size: int = 1056
    n_codes_total: int = 8
    n_codes_given: int = 1


@dataclass(frozen=True, slots=True)
class SemanticRules:
    """Token layout of the semantic stage (docs/parity.md S30-S35, H4)."""

    semantic_vocab_size: int = 10_000
    text_encoding_offset: int = 10_048
    text_pad_token: int = 129_595
    semantic_pad_token: int = 10_000
    eos_token: int = 10_000
    infer_token: int = 129_599
    max_text_tokens: int = 256
    rate_hz: float = 49.9
    max_new_tokens: int = 768


@dataclass(frozen=True, slots=True)
class CoarseRules:
    """Token layout and windows of the coarse stage (docs/parity.md S36-S37, H5)."""

    semantic_pad_token: int = 12_048
    infer_token: int = 12_050
    rate_hz: float = 75.0
    n_codebooks: int = 2
    max_semantic_input: int = 256
    max_history: int = 630
    sliding_window: int = 60


@dataclass(frozen=True, slots=True)
class FineRules:
    """Windows of the fine stage (S38, H6)."""

    n_codebooks: int = 8
    max_history: int = 512
    max_input: int = 1024


_RATES = (0.01, 100_000.0)
"""Tokens or frames a second that a model may have."""


def _small(vocab_in: int, vocab_out: int) -> GPTConfig:
    return GPTConfig(input_vocab_size=vocab_in, output_vocab_size=vocab_out)


@dataclass(frozen=True, slots=True)
class BarkConfig:
    """A whole Bark: three transformers, one codec, and the rules that tie their tokens together.

    The default is the published suno/bark-small. `text_normalizer` names the rules of
    `openbark.text.reader` that text passes before the tokenizer ("none" for Suno's checkpoints).
    """

    semantic: GPTConfig = field(default_factory=lambda: _small(129_600, 10_048))
    coarse: GPTConfig = field(default_factory=lambda: _small(12_096, 12_096))
    fine: FineGPTConfig = field(default_factory=FineGPTConfig)
    codec: CodecConfig = field(default_factory=EncodecConfig)
    semantic_rules: SemanticRules = field(default_factory=SemanticRules)
    coarse_rules: CoarseRules = field(default_factory=CoarseRules)
    fine_rules: FineRules = field(default_factory=FineRules)
    codebook_size: int = 1024
    sample_rate: int = 24_000
    semantic_encoder: SemanticEncoderConfig | None = None
    text_normalizer: str = "none"
    name: str = "bark"
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        s, c, f = self.semantic_rules, self.coarse_rules, self.fine_rules
        for part, rules in (("semantic", s), ("coarse", c), ("fine", f)):
            check_between(f"{part} rules: ", rules, 0, LARGEST)
            check_between(f"{part} rules: ", rules, *_RATES, ("rate_hz",))
        check_between("", self, 1, LARGEST, ("codebook_size", "sample_rate"))
        require(
            self.sample_rate == self.codec.sampling_rate,
            f"sample_rate {self.sample_rate} differs from the codec's {self.codec.sampling_rate}",
        )
        require(
            max(s.semantic_vocab_size, s.eos_token + 1) <= self.semantic.output_vocab_size,
            f"semantic output_vocab_size {self.semantic.output_vocab_size} does not hold the semantic "
            f"vocabulary ({s.semantic_vocab_size}) and the end token ({s.eos_token})",
        )
        require(
            max(s.infer_token, s.text_pad_token, s.semantic_pad_token)
            < self.semantic.input_vocab_size,
            f"semantic input_vocab_size {self.semantic.input_vocab_size} does not hold the special tokens",
        )
        require(
            self.coarse_offset + c.n_codebooks * self.codebook_size
            <= self.coarse.output_vocab_size,
            f"coarse output_vocab_size {self.coarse.output_vocab_size} does not hold "
            f"{c.n_codebooks} codebooks of {self.codebook_size} after {self.coarse_offset} semantic tokens",
        )
        require(
            self.coarse_positions(c.max_history, c.sliding_window) <= self.coarse.block_size,
            f"coarse windows ({c.max_semantic_input} + 1 + {c.max_history} + {c.sliding_window}, the last "
            f"of which is drawn and not read) exceed block_size {self.coarse.block_size}",
        )
        require(
            f.max_input <= self.fine.block_size and 0 < f.max_history < f.max_input,
            f"fine windows ({f.max_history} of {f.max_input}) do not fit block_size {self.fine.block_size}",
        )
        require(
            c.n_codebooks <= f.n_codebooks == self.fine.n_codes_total,
            f"codebooks disagree: coarse {c.n_codebooks}, fine {f.n_codebooks}, "
            f"fine model {self.fine.n_codes_total}",
        )
        require(
            1 <= self.fine.n_codes_given <= c.n_codebooks,
            f"fine n_codes_given {self.fine.n_codes_given} must be 1..{c.n_codebooks}",
        )

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{name} {stage.n_layer}x{stage.n_embd}"
            for name, stage in (
                ("semantic", self.semantic),
                ("coarse", self.coarse),
                ("fine", self.fine),
            )
        )
        return f"<BarkConfig {self.name!r}: {sizes}, codec {self.codec.model_type}, {self.sample_rate} Hz>"

    @property
    def coarse_offset(self) -> int:
        """First coarse token id; the ids below it are semantic tokens."""
        return self.semantic_rules.semantic_vocab_size

    @property
    def frames_per_semantic(self) -> float:
        """Codec frames per semantic token (75 / 49.9 for Suno)."""
        return self.coarse_rules.rate_hz / self.semantic_rules.rate_hz

    @property
    def coarse_per_semantic(self) -> float:
        """Coarse tokens per semantic token (3.006... for Suno)."""
        return self.frames_per_semantic * self.coarse_rules.n_codebooks

    @property
    def max_semantic_history(self) -> int:
        """Semantic tokens that belong to a full coarse history (209 for Suno)."""
        return math.floor(self.coarse_rules.max_history / self.coarse_per_semantic)

    def coarse_positions(self, max_history: int, sliding_window: int) -> int:
        """Positions that a coarse window reads: its last token is drawn, and only the next window reads it."""
        return self.coarse_rules.max_semantic_input + 1 + max_history + sliding_window - 1

    @property
    def max_seconds(self) -> float:
        """Longest audio of one call, in seconds (15.39 for Suno)."""
        frames = math.floor(self.semantic_rules.max_new_tokens * self.frames_per_semantic)
        return frames / self.coarse_rules.rate_hz

    @classmethod
    def tiny(cls) -> BarkConfig:
        """A complete Bark of a few thousand weights, for tests and examples."""
        return cls(
            semantic=GPTConfig(64, 200, 110, n_layer=2, n_head=2, n_embd=16),
            coarse=GPTConfig(72, 180, 180, n_layer=2, n_head=2, n_embd=16),
            fine=FineGPTConfig(32, 36, 36, n_layer=2, n_head=2, n_embd=16),
            codec=EncodecConfig(
                hidden_size=16,
                num_filters=4,
                upsampling_ratios=(8, 5, 4, 2),
                codebook_size=32,
                codebook_dim=16,
                target_bandwidths=(0.75, 3.0),
            ),
            semantic_rules=SemanticRules(
                semantic_vocab_size=100,
                text_encoding_offset=110,
                text_pad_token=190,
                semantic_pad_token=100,
                eos_token=100,
                infer_token=191,
                max_text_tokens=16,
                max_new_tokens=40,
            ),
            coarse_rules=CoarseRules(
                semantic_pad_token=170,
                infer_token=171,
                max_semantic_input=16,
                max_history=36,
                sliding_window=12,
            ),
            fine_rules=FineRules(max_history=16, max_input=32),
            codebook_size=32,
            name="tiny",
        )
