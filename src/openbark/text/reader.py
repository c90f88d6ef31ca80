"""Text as people write it to text a model can read, by the rules its config names.

"none": the text itself (Suno's checkpoints read raw text). "en": English in plain words for the embedded
voice. Knows no tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from openbark.config import BarkConfig
from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError, TextError
from openbark.text.left_out import notice_of, refuse_left_out
from openbark.text.normalize.english import Reading, read_english
from openbark.text.tokenizer import Tokenizer, squeeze

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


RAW = "none"
"""The normalizer of models that read text as it stands."""

_WRAPPED_WORD = re.compile(r"(?<=[a-z]-)\n(?=[a-z])")


@dataclass(frozen=True)
class TextReader:
    """Reads text for one model."""

    config: BarkConfig
    tokenizer: Tokenizer

    @property
    def is_raw(self) -> bool:
        """Whether the model reads text as it stands, byte for byte."""
        return self.config.text_normalizer == RAW

    def reading(self, text: str) -> Reading:
        """`text` as the model will read it, and what is left out; no text at all where nothing has a sound.

        Raises TextError for text that is empty or cannot be read.
        """
        if not isinstance(text, str):
            raise TextError(f"text must be a string, is {type(text).__name__}")
        joined = text if self.is_raw else _WRAPPED_WORD.sub("", text)
        found = read_text(squeeze(joined), self.config.text_normalizer)
        return found if self.is_raw else Reading(" ".join(found.text.split()), found.left_out)

    def normalize(self, text: str) -> str:
        """The text of `reading`. Raises TextError also where nothing has a sound."""
        found = self.reading(text)
        if not found.text:
            raise TextError(
                f"the text holds nothing that has a sound ({notice_of(found.left_out)}); write at least one word"
            )
        return squeeze(found.text)

    def encode(self, normalized: str) -> NDArray[np.int64]:
        """Token ids [N] of text that was read; none of an empty one.

        Raises TextError, or CheckpointCorruptError for ids that the model has no room for.
        """
        if not normalized:
            return np.zeros(0, dtype=np.int64)
        tokens = self.tokenizer.encode(normalized)
        n_text_ids = (
            self.config.semantic.input_vocab_size - self.config.semantic_rules.text_encoding_offset
        )
        if len(tokens) and int(tokens.max()) >= n_text_ids:
            raise CheckpointCorruptError(
                f"the tokenizer made the id {int(tokens.max())}, {self.config.name} has room for "
                f"{n_text_ids}; its tokenizer.json and config.json belong to different models"
            )
        return tokens

    def read(self, text: str) -> tuple[str, NDArray[np.int64]]:
        """`text` as the model will read it, and its tokenizer ids [N]. Raises TextError."""
        normalized = self.normalize(text)
        return normalized, self.encode(normalized)
