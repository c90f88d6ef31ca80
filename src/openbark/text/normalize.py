"""Text as people write it to text a model can read, by the rules its config names.

"none": the text itself (Suno's checkpoints read raw text). "en": English in plain words for the embedded
voice. Knows no tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from openbark.errors import CheckpointUnsupportedError
from openbark.text.english import normalize_english

__all__ = ["NORMALIZERS", "normalize"]


def _unchanged(text: str) -> str:
    return text


NORMALIZERS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"none": _unchanged, "en": normalize_english}
)
"""Normalizers by the name a checkpoint's config gives them."""


def normalize(text: str, normalizer: str) -> str:
    """Apply the normalizer that a config names (`BarkConfig.text_normalizer`).

    Raises TextError for text it cannot read; CheckpointUnsupportedError for an unknown name.
    """
    if normalizer not in NORMALIZERS:
        raise CheckpointUnsupportedError(
            f"the checkpoint asks for the text normalizer {normalizer!r}; "
            f"this version of openbark has: {', '.join(NORMALIZERS)}"
        )
    return NORMALIZERS[normalizer](text)
