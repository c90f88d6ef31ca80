"""Text to the token ids a checkpoint was trained on, through its own `tokenizer.json`.

Knows neither the offset nor the slots of the semantic stage (`openbark.stages.semantic`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openbark.errors import CheckpointCorruptError, CheckpointNotFoundError, TextError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as _Rules

__all__ = ["Tokenizer", "describe_characters", "squeeze"]

_WHITESPACE = re.compile(r"\s+")
_MAX_NAMED = 10


def squeeze(text: str) -> str:
    """Every run of white space becomes one space, none at the ends (S30).

    Raises TextError when nothing is left, or when `text` is no string.
    """
    if not isinstance(text, str):
        raise TextError(f"text must be a string, is {type(text).__name__}")
    squeezed = _WHITESPACE.sub(" ", text).strip()
    if not squeezed:
        found = "is empty" if not text else "holds only white space"
        raise TextError(f"the text {found}; write at least one word")
    return squeezed


def describe_characters(characters: list[str]) -> str:
    """Name characters for a message: the character itself and its code point, in order, without repeats."""
    distinct = list(dict.fromkeys(characters))
    named = [
        f"{character if character.isprintable() else ' '} (U+{ord(character):04X})".strip()
        for character in distinct[:_MAX_NAMED]
    ]
    rest = len(distinct) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A checkpoint's tokenizer. No special tokens, no padding, never truncates."""

    _rules: _Rules

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a `tokenizer.json`. Raises CheckpointNotFoundError or CheckpointCorruptError."""
        from tokenizers import Tokenizer as Rules

        if not path.is_file():
            raise CheckpointNotFoundError(f"no tokenizer at {path}; the checkpoint is incomplete")
        try:
            rules = Rules.from_file(str(path))
        except Exception as error:  # The library raises bare Exception.
            raise CheckpointCorruptError(f"{path} is no tokenizer.json: {error}") from error
        # A tokenizer.json may carry both, and either would change the text without a word.
        rules.no_truncation()
        rules.no_padding()
        return cls(rules)

    @property
    def vocab_size(self) -> int:
        """Ids are 0 .. vocab_size - 1."""
        return int(self._rules.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str) -> NDArray[np.int64]:
        """Token ids [N] of `text`, white space squeezed (S30).

        Raises TextError for empty text and for characters that the vocabulary has no token for. A
        vocabulary with an unknown-token, such as BERT's, has one for everything.
        """
        squeezed = squeeze(text)
        try:
            ids = self._rules.encode(squeezed, add_special_tokens=False).ids
        except Exception as error:  # The library raises bare Exception.
            self._refuse_unreadable(squeezed)
            raise TextError(f"the tokenizer cannot read this text: {error}") from error
        if not self._has_unknown_token():
            self._refuse_unreadable(squeezed)
        return np.array(ids, dtype=np.int64)

    def unreadable(self, text: str) -> list[str]:
        """Characters of `text`, white space apart, that alone give no token, in order, without repeats."""
        return [
            character
            for character in dict.fromkeys(text)
            if not character.isspace() and not self._reads(character)
        ]

    def _reads(self, character: str) -> bool:
        try:
            return bool(self._rules.encode(character, add_special_tokens=False).ids)
        except Exception:  # The library raises bare Exception.
            return False

    def _has_unknown_token(self) -> bool:
        token = getattr(self._rules.model, "unk_token", None)
        return token is not None and self._rules.token_to_id(token) is not None

    def _refuse_unreadable(self, text: str) -> None:
        unreadable = self.unreadable(text)
        if unreadable:
            raise TextError(
                f"this model cannot read {describe_characters(unreadable)}; "
                "write the text without these characters"
            )
