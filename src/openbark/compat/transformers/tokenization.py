"""`BarkTokenizer`: a checkpoint's tokenizer with the methods that transformers' have (docs/parity.md H18, H30).

White space is squeezed first, as Suno does and transformers does not (B16). Knows no voices.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, Unpack

import numpy as np
from torch import Tensor

from openbark.checkpoints.checkpoint import CONFIG_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from openbark.checkpoints.formats.json_file import read_json
from openbark.compat.transformers.batches import BatchEncoding, as_tensors, check_tensors
from openbark.compat.transformers.locating import FromHub, locate
from openbark.compat.transformers.publishing import PushToHub, ToHub, save
from openbark.errors import CheckpointError, ParamError, TextError
from openbark.files import write_atomically
from openbark.text.reader import normalize
from openbark.text.tokenizer import Tokenizer, squeeze

_SLOTS = 256
_PADDING, _UNKNOWN = "[PAD]", "[UNK]"
_SPECIAL = MappingProxyType(
    {
        "bos_token": "",
        "cls_token": "[CLS]",
        "eos_token": "",
        "mask_token": "[MASK]",
        "pad_token": _PADDING,
        "sep_token": "[SEP]",
        "unk_token": _UNKNOWN,
    }
)
_PROCESSOR_FILE = "processor_config.json"
_TOKENIZER_FILES = (
    TOKENIZER_FILE,
    "tokenizer_config.json",
    "special_tokens_map.json",
    VOCABULARY_FILE,
)


class BarkTokenizer(PushToHub):
    """A checkpoint's tokenizer: text to padded ids, without an offset (H18, H30)."""

    model_input_names = ("input_ids", "attention_mask")
    padding_side = "right"
    truncation_side = "right"
    pad_token_type_id = 0
    is_fast = True

    def __init__(
        self,
        tokenizer: Tokenizer,
        model_max_length: int = _SLOTS,
        text_normalizer: str = "none",
        source: Path | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.model_max_length = model_max_length
        self.text_normalizer = text_normalizer
        self.source = source
        self._ids = tokenizer.vocabulary()
        self._tokens = {number: token for token, number in self._ids.items()}

    @property
    def vocab_size(self) -> int:
        """Ids are 0 .. vocab_size - 1."""
        return self.tokenizer.vocab_size

    def __len__(self) -> int:
        return self.vocab_size

    @property
    def pad_token_id(self) -> int:
        """The id in slots without text."""
        return self._ids.get(_PADDING, 0)

    @property
    def pad_token(self) -> str:
        """Its text."""
        return self._tokens[self.pad_token_id]

    def __getattr__(self, name: str) -> Any:
        """`unk_token`, `cls_token_id` and the like; None where the vocabulary has none, as Bark uses none."""
        token = _SPECIAL.get(name.removesuffix("_id"))
        if token is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        number = self._ids.get(token)
        return number if name.endswith("_id") else None if number is None else token

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens that the vocabulary has, by their names."""
        return {name: text for name, text in _SPECIAL.items() if text in self._ids}

    @property
    def all_special_tokens(self) -> list[str]:
        """Their texts."""
        return list(self.special_tokens_map.values())

    @property
    def all_special_ids(self) -> list[int]:
        """Their ids."""
        return [self._ids[text] for text in self.all_special_tokens]

    @property
    def vocab(self) -> dict[str, int]:
        """As `get_vocab`."""
        return self.get_vocab()

    @property
    def name_or_path(self) -> str:
        """The folder it was read from."""
        return "" if self.source is None else str(self.source.parent)

    def get_added_vocab(self) -> dict[str, int]:
        """The special tokens and their ids."""
        return {text: self._ids[text] for text in self.all_special_tokens}

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """0: Bark reads text without special tokens."""
        return 0

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """The text of tokens' texts."""
        return self.decode([self._ids[token] for token in tokens if token in self._ids])

    def get_vocab(self) -> dict[str, int]:
        """Every token's text and its id."""
        return dict(self._ids)

    def convert_ids_to_tokens(self, ids: int | Sequence[int] | Tensor) -> str | list[str]:
        """The text of one token or of several. Raises TextError for ids that there are not."""
        numbers = _numbers(ids)
        unknown = [number for number in numbers if number not in self._tokens]
        if unknown:
            raise TextError(f"token {unknown[0]} is none; allowed: 0..{self.vocab_size - 1}")
        tokens = [self._tokens[number] for number in numbers]
        return tokens[0] if isinstance(ids, int) else tokens

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int]:
        """The id of one token's text or of several; that of the unknown token for others, where there is one.

        Raises TextError where there is none.
        """
        texts = [tokens] if isinstance(tokens, str) else list(tokens)
        other = self._ids.get(_UNKNOWN)
        missing = [text for text in texts if text not in self._ids]
        if missing and other is None:
            raise TextError(f"{missing[0]!r} is not a token of this model")
        numbers = [self._ids.get(text, other or 0) for text in texts]
        return numbers[0] if isinstance(tokens, str) else numbers

    def tokenize(self, text: str, add_special_tokens: bool = False) -> list[str]:
        """The tokens of a text. Raises TextError, ParamError for special tokens."""
        return [self._tokens[number] for number in self.encode(text, add_special_tokens)]

    def decode(
        self,
        token_ids: int | Sequence[int] | Tensor,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """The text of ids. Raises ParamError for `clean_up_tokenization_spaces=True`."""
        if clean_up_tokenization_spaces:
            raise ParamError("clean_up_tokenization_spaces is True; allowed: False or None")
        return self.tokenizer.decode(_numbers(token_ids), keep_special=not skip_special_tokens)

    def batch_decode(
        self,
        sequences: Sequence[Any] | Tensor,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """The texts of several rows of ids."""
        clean = clean_up_tokenization_spaces
        return [self.decode(row, skip_special_tokens, clean) for row in sequences]

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **from_hub: Unpack[FromHub]
    ) -> Self:
        """Read the tokenizer of a checkpoint folder. Raises CheckpointError or ParamError."""
        return cls.of_folder(locate(pretrained_model_name_or_path, from_hub, weights=False))

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """The tokenizer in a folder that is here. Raises CheckpointError."""
        path = folder / TOKENIZER_FILE
        if not path.is_file() and (folder / VOCABULARY_FILE).is_file():
            path = folder / VOCABULARY_FILE
        tokenizer = Tokenizer.load(path)
        config = _read(folder / CONFIG_FILE)
        generation = _read(folder / "generation_config.json")
        saved = _read(folder / _PROCESSOR_FILE).get("openbark", {})
        semantic = generation.get("semantic_config", saved)
        slots = semantic.get("max_input_semantic_length", _SLOTS)
        normalizer = config.get("openbark", saved).get("text_normalizer", "none")
        return cls(tokenizer, slots, normalizer, path)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        push_to_hub: bool = False,
        **to_hub: Unpack[ToHub],
    ) -> None:
        """Write the tokenizer's files into a folder, made if need be. Raises CheckpointError."""
        save(self._write, save_directory, push_to_hub, to_hub)

    def _write(self, folder: Path) -> None:
        if self.source is None:
            raise CheckpointError(
                "this tokenizer was not read from a file, so there is none to copy"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in _TOKENIZER_FILES:
                file = self.source.with_name(name)
                if file.is_file():
                    write_atomically(folder / name, file.read_bytes())
            about = {
                "max_input_semantic_length": self.model_max_length,
                "text_normalizer": self.text_normalizer,
            }
            contents = {"processor_class": "BarkProcessor", "openbark": about}
            write_atomically(folder / _PROCESSOR_FILE, json.dumps(contents, indent=2).encode())
        except OSError as error:
            raise CheckpointError(f"cannot write the tokenizer to {folder}: {error}") from error

    def encode(
        self,
        text: str,
        add_special_tokens: bool = False,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
    ) -> Any:
        """Ids of a text, as the model reads it: a list, or [1, N] for `return_tensors` "pt" or "np". Other
        keywords as in a call. Raises TextError, ParamError for special tokens."""
        _check_special(add_special_tokens)
        if padding or truncation or return_tensors is not None:
            rows = self(_texts(text), return_tensors, max_length, padding, truncation)["input_ids"]
            return rows[0] if return_tensors is None else rows
        return self._ids_of(_texts(text)[0])

    def _ids_of(self, text: str) -> list[int]:
        readable = squeeze(normalize(squeeze(text), self.text_normalizer))
        return [int(token) for token in self.tokenizer.encode(readable)]

    def __call__(
        self,
        text: str | Sequence[str],
        return_tensors: str | None = "pt",
        max_length: int | None = None,
        padding: bool | str = "max_length",
        truncation: bool | str = False,
        add_special_tokens: bool = False,
        return_attention_mask: bool = True,
        return_token_type_ids: bool = False,
    ) -> BatchEncoding:
        """Ids and mask [B, N] of one text or several; N is `max_length` unless `padding` says "longest".

        Raises TextError for a text of more than `max_length` tokens, unless `truncation` asks to cut it;
        ParamError for special tokens, which Bark does not have.
        """
        _check_special(add_special_tokens)
        check_tensors(return_tensors)
        texts = _texts(text)
        width = self.model_max_length if max_length is None else max_length
        rows = [self._fitted(self._ids_of(one), width, bool(truncation)) for one in texts]
        if padding in (True, "longest", False, "do_not_pad"):
            width = max((len(row) for row in rows), default=0)
        ids = np.full((len(rows), width), self.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        arrays = {"input_ids": ids}
        if return_token_type_ids:
            arrays["token_type_ids"] = np.zeros_like(ids)
        if return_attention_mask:
            arrays["attention_mask"] = mask
        return BatchEncoding(
            {name: as_tensors(array, return_tensors) for name, array in arrays.items()}
        )

    def _fitted(self, ids: list[int], width: int, truncation: bool) -> list[int]:
        if len(ids) > width and not truncation:
            raise TextError(
                f"the text is {len(ids)} tokens long, this model takes at most {width}; split it into "
                "sentences, or cut it with truncation=True"
            )
        return ids[:width]


class AutoTokenizer:
    """Finds the tokenizer class; here always `BarkTokenizer` (H18)."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **from_hub: Unpack[FromHub]
    ) -> BarkTokenizer:
        """Read a checkpoint folder. Raises CheckpointError or ParamError."""
        return BarkTokenizer.from_pretrained(pretrained_model_name_or_path, **from_hub)


def _check_special(add_special_tokens: bool) -> None:
    if add_special_tokens:
        raise ParamError("add_special_tokens is True; allowed: False, Bark has no special tokens")


def _texts(text: object) -> list[str]:
    """One text or several. Raises TextError for anything else."""
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, Iterable) or isinstance(texts, (bytes, Mapping)):
        raise TextError(f"the text is a {type(text).__name__}; allowed: a str, or several of them")
    found = list(texts)
    wrong = [one for one in found if not isinstance(one, str)]
    if wrong or not found:
        what = f"a {type(wrong[0]).__name__}" if wrong else "missing"
        raise TextError(f"one of the texts is {what}; allowed: str")
    return found


def _numbers(ids: int | Sequence[int] | Tensor) -> list[int]:
    if isinstance(ids, int):
        return [ids]
    return [int(number) for number in (ids.flatten() if isinstance(ids, Tensor) else ids)]


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
