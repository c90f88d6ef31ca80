from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Regex
from tokenizers import Tokenizer as Rules
from tokenizers.models import BPE, WordLevel, WordPiece
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split, Whitespace

from openbark.errors import CheckpointCorruptError, CheckpointNotFoundError, TextError
from openbark.text.normalize.english import ENGLISH_CHARACTERS
from openbark.text.tokenizer import Tokenizer, squeeze
from recipes.embedded.config import character_tokenizer_json

LETTERS = {letter: index for index, letter in enumerate(" abcdehlo.")}


def saved(tmp_path: Path, rules: Rules) -> Path:
    path = tmp_path / "tokenizer.json"
    rules.save(str(path))
    return path


def letters_without_unknown(tmp_path: Path) -> Path:
    rules = Rules(WordLevel(LETTERS, unk_token="[UNK]"))
    rules.normalizer = Lowercase()
    rules.pre_tokenizer = Split(Regex("."), "isolated")
    return saved(tmp_path, rules)


def words_with_unknown(tmp_path: Path) -> Path:
    rules = Rules(WordPiece({"[UNK]": 0, "hello": 1, "there": 2}, unk_token="[UNK]"))
    rules.pre_tokenizer = Whitespace()
    return saved(tmp_path, rules)


def test_ids_are_the_vocabulary_s(tmp_path: Path) -> None:
    ids = Tokenizer.load(letters_without_unknown(tmp_path)).encode("Hello.")
    assert ids.dtype == np.int64
    assert ids.tolist() == [LETTERS[letter] for letter in "hello."]


def test_white_space_is_squeezed(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(letters_without_unknown(tmp_path))
    assert np.array_equal(tokenizer.encode("\n a \t  b\r\n"), tokenizer.encode("a b"))
    assert squeeze("\n a \t  b\r\n") == "a b"


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_empty_text_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TextError, match="at least one word"):
        Tokenizer.load(letters_without_unknown(tmp_path)).encode(text)


def test_text_must_be_a_string() -> None:
    with pytest.raises(TextError, match="bytes"):
        squeeze(b"hello")  # type: ignore[arg-type]


def test_characters_outside_the_vocabulary_are_named(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(letters_without_unknown(tmp_path))
    with pytest.raises(TextError, match=r"x \(U\+0078\), \? \(U\+003F\);"):
        tokenizer.encode("hello xx?")


def test_a_vocabulary_that_drops_characters_in_silence_is_caught(tmp_path: Path) -> None:
    rules = Rules(BPE({"a": 0, "b": 1, " ": 2}, []))
    assert rules.encode("axb").ids == [0, 1]
    with pytest.raises(TextError, match=r"x \(U\+0078\)"):
        Tokenizer.load(saved(tmp_path, rules)).encode("axb")


def test_an_unknown_token_reads_everything(tmp_path: Path) -> None:
    ids = Tokenizer.load(words_with_unknown(tmp_path)).encode("hello привет there")
    assert ids.tolist() == [1, 0, 2]


def test_truncation_and_padding_in_the_file_are_ignored(tmp_path: Path) -> None:
    rules = Rules(WordLevel(LETTERS, unk_token="[UNK]"))
    rules.pre_tokenizer = Split(Regex("."), "isolated")
    rules.enable_truncation(3)
    rules.enable_padding(length=8)
    ids = Tokenizer.load(saved(tmp_path, rules)).encode("hello abcd")
    assert len(ids) == len("hello abcd")


def test_special_tokens_are_not_added(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    rules = Rules(WordLevel(LETTERS | {"[CLS]": 20}, unk_token="[UNK]"))
    rules.pre_tokenizer = Split(Regex("."), "isolated")
    rules.post_processor = TemplateProcessing("[CLS] $A", special_tokens=[("[CLS]", 20)])
    assert 20 not in Tokenizer.load(saved(tmp_path, rules)).encode("hello").tolist()


def test_S19_ids_become_text_by_the_vocabulary_s_rules(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "hello", "wor", "##ld"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = Tokenizer.load(tmp_path / "vocab.txt")
    assert tokenizer.decode(tokenizer.encode("hello  world")) == "hello world"
    assert tokenizer.decode([0, 3, 4]) == "world"


def test_vocabulary_size(tmp_path: Path) -> None:
    assert Tokenizer.load(letters_without_unknown(tmp_path)).vocab_size == len(LETTERS)


def test_missing_and_broken_files_are_typed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="no tokenizer"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointCorruptError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_the_embedded_vocabulary_reads_everything_the_normalizer_writes(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(character_tokenizer_json(), encoding="utf-8")
    tokenizer = Tokenizer.load(path)
    assert tokenizer.unreadable(ENGLISH_CHARACTERS) == []
    assert len(tokenizer.encode("It's [laughs] five.")) == len("It's [laughs] five.")
    with pytest.raises(TextError, match=r"5 \(U\+0035\)"):
        tokenizer.encode("It's 5.")
