"""Text to the token ids a checkpoint was trained on, through its own `tokenizer.json` or `vocab.txt`.

Knows neither the offset nor the slots of the semantic stage (`openbark.stages.semantic`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openbark.errors import CheckpointCorruptError, CheckpointNotFoundError, TextError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as _Rules

_WHITESPACE = re.compile(r"\s+")
_MAX_NAMED = 10
_BERT_SPECIAL = ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]")


def squeeze(text: str) -> str:
    """Every run of white space becomes one space, none at the ends (docs/parity.md S30).

    Raises TextError when nothing is left, or when `text` is not a string.
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
        """Read a `tokenizer.json`, or a `vocab.txt` (any other suffix) as cased BERT's vocabulary.

        Raises CheckpointNotFoundError or CheckpointCorruptError.
        """
        from tokenizers import Tokenizer as Rules

        if not path.is_file():
            raise CheckpointNotFoundError(f"no tokenizer at {path}; the checkpoint is incomplete")
        try:
            rules = Rules.from_file(str(path)) if path.suffix == ".json" else _cased_bert(path)
        except CheckpointCorruptError:
            raise
        except Exception as error:  # The library raises bare Exception.
            raise CheckpointCorruptError(f"{path} is not a tokenizer.json: {error}") from error
        # A tokenizer.json may carry both, and either would change the text without a word.
        rules.no_truncation()
        rules.no_padding()
        return cls(rules)

    def to_json(self) -> str:
        """The contents of a `tokenizer.json` with these rules."""
        text: str = self._rules.to_str(pretty=True)
        return text

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

    def decode(self, ids: Iterable[int], *, keep_special: bool = False) -> str:
        """The text of token ids, joined by the vocabulary's own rules; special tokens are left out unless they
        are to be kept."""
        numbers = [int(token) for token in ids]
        text: str = self._rules.decode(numbers, skip_special_tokens=not keep_special)
        return text

    def vocabulary(self) -> dict[str, int]:
        """Every token's text and its id."""
        table: dict[str, int] = self._rules.get_vocab(with_added_tokens=True)
        return table

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


def _cased_bert(path: Path) -> _Rules:
    """WordPiece over a `vocab.txt`, one entry per line, as BERT's multilingual cased tokenizer works
    (B16, arXiv 1810.04805): control characters dropped, ideographs apart, accents and case kept."""
    from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
    from tokenizers import Tokenizer as Rules

    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointCorruptError(f"{path} is not text: byte {error.start}") from error
    entries = [line.removesuffix("\r") for line in lines]
    while entries and not entries[-1]:
        entries.pop()
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    special = [token for token in _BERT_SPECIAL if token in vocabulary]
    if "[UNK]" not in special:
        raise CheckpointCorruptError(f"{path} is not a BERT vocabulary: it lacks [UNK]")
    rules = Rules(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    rules.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=False
    )
    rules.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rules.decoder = decoders.WordPiece(prefix="##")
    rules.add_special_tokens([AddedToken(token, special=True) for token in special])
    return rules
