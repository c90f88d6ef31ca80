"""Text as people write it to text a model can read, by the rules its config names.

"none": the text itself (Suno's checkpoints read raw text). "en": English in plain words for the embedded
voice. Knows no tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from openbark.errors import CheckpointUnsupportedError
from openbark.text.left_out import refuse_left_out
from openbark.text.normalize.english import Reading, read_english

__all__ = ["NORMALIZERS", "normalize", "read_text"]

NORMALIZERS: Mapping[str, Callable[[str], Reading]] = MappingProxyType(
    {"none": Reading, "en": read_english}
)
"""Normalizers by the name a checkpoint's config gives them."""


def read_text(text: str, normalizer: str) -> Reading:
    """`text` by the normalizer that a config names (`BarkConfig.text_normalizer`), and what it leaves out.

    Raises TextError for text it cannot read; CheckpointUnsupportedError for an unknown name.
    """
    if normalizer not in NORMALIZERS:
        raise CheckpointUnsupportedError(
            f"the checkpoint asks for the text normalizer {normalizer!r}; "
            f"this version of openbark has: {', '.join(NORMALIZERS)}"
        )
    return NORMALIZERS[normalizer](text)


def normalize(text: str, normalizer: str, strict: bool = False) -> str:
    """The text of `read_text`. strict: raise TextError where anything is left out."""
    reading = read_text(text, normalizer)
    if strict:
        refuse_left_out(reading.left_out)
    return reading.text
