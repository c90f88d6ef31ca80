"""What a Bark model IS: frozen sizes, token layout and rates, and the ratios derived from them.

Bark's own figures (256 text slots, 10,000 semantic tokens, windows of 630 and 60, 1,024 frames, 75 Hz)
are the default values of these classes and appear nowhere else. What a request ASKS is `openbark.params`;
how a config is read from or written to disk is `openbark.checkpoints`. Standard library only.
"""

from __future__ import annotations

from openbark.config.bark import (
    BarkConfig,
    CoarseRules,
    FineGPTConfig,
    FineRules,
    GPTConfig,
    SemanticRules,
)
from openbark.config.codecs import (
    CodecConfig,
    EncodecConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
)

__all__ = [
    "BarkConfig",
    "CoarseRules",
    "CodecConfig",
    "EncodecConfig",
    "FineGPTConfig",
    "FineRules",
    "GPTConfig",
    "HarmonicCodecConfig",
    "IstftCodecConfig",
    "SemanticEncoderConfig",
    "SemanticRules",
]
