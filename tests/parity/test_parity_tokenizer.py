"""Ids equal those of transformers' BertTokenizer, cased, on generated texts in Suno's 13 languages (B16, S30).

The published vocabulary cannot be had offline; a synthetic one with pieces of every script stands in.
"""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path

import pytest
from transformers import BertTokenizer

from openbark.checkpoints.layouts.tokenizer_files import tokenizer_files
from openbark.text.tokenizer import Tokenizer

LANGUAGES: dict[str, str] = {
    "en": "Hello there, don't stop the music! It's 12:30 o'clock.",
    "de": "Größe, Übermut und Straßenbahn: ça va, äh… schön!",
    "es": "¿Dónde está la niña? ¡Mañana, corazón!",
    "fr": "L'élève dîne où? Ça, c'est « déjà-vu » — naïf, cœur.",
    "hi": "नमस्ते दुनिया, आप कैसे हैं? क्षत्रिय ज़्यादा।",
    "it": "Perché no? È così, città più bella.",
    "ja": "こんにちは、世界！カタカナとひらがな、漢字。がぎぐ",
    "ko": "안녕하세요, 세계! 반갑습니다. 한글",
    "pl": "Zażółć gęślą jaźń, źdźbło — łódź.",
    "pt": "Não, amanhã à noite; coração, pão, você.",
    "ru": "Привет, мир! Ёжик и объём — щука, йод.",
    "tr": "İstanbul'da ığdır şöför çiğ köfte güneş.",
    "zh": "你好，世界！今天天气怎么样？㐀𠀀豈",
}
BESIDES = (
    "♪ ♫ — … “ ” [laughter] [clears throat] [MAN] [MASK] [SEP] [UNK] CAPS 😀 👩‍👩‍👧 🇩🇪 ﬁ Å Å é "
    "\x00 \x01 \x1b \x7f \x85 \u200b \u200d \ufeff \u00ad \u0301 \ufffd \u2028 \u3000 \u00a0 \t \r\n \ue000"
).split(" ")


def vocabulary() -> list[str]:
    """Special tokens, single characters of every script and some longer pieces, at the start and inside."""
    generator = random.Random(5)
    characters = sorted(
        set("".join(LANGUAGES.values()) + "abcdefghijklmnopqrstuvwxyz0123456789♪[]()")
    )
    words = [word for text in LANGUAGES.values() for word in re.findall(r"\w+", text)]
    pieces = [word[: generator.randint(1, len(word))] for word in words for _ in range(3)]
    inner = [word[generator.randint(0, len(word) - 1) :] for word in words for _ in range(3)]
    kept = [c for c in characters if not c.isspace() and generator.random() < 0.9]
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *kept, *pieces]
    entries += [f"##{piece}" for piece in kept + inner]
    return list(dict.fromkeys(entries))


def texts() -> list[str]:
    generator = random.Random(11)
    made = []
    for number in range(800):
        for text in LANGUAGES.values():
            words = text.split()
            parts = generator.choices(words, k=generator.randint(1, 6))
            parts += generator.choices(BESIDES, k=generator.randint(0, 3))
            generator.shuffle(parts)
            joined = generator.choice((" ", " ", "  ", "", "\n", "\t ")).join(parts)
            if number % 4 == 1:
                joined = unicodedata.normalize("NFD", joined)
            elif number % 4 == 2:
                joined = joined.upper()
            elif number % 4 == 3:
                letters = list(joined)
                generator.shuffle(letters)
                joined = "".join(letters)
            made.append(joined)
    made += ["a" * 100, "a" * 101, "ñ" * 99 + "x", "x" * 5000]
    return made


@pytest.fixture(scope="module")
def vocabulary_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    path.write_text("".join(f"{entry}\n" for entry in vocabulary()), encoding="utf-8")
    return path


def test_ids_equal_transformers(vocabulary_file: Path) -> None:
    theirs = BertTokenizer(str(vocabulary_file), do_lower_case=False)
    ours = Tokenizer.load(vocabulary_file)
    compared = 0
    for text in texts():
        squeezed = re.sub(r"\s+", " ", text).strip()
        if not squeezed:
            continue
        expected = theirs.encode(squeezed, add_special_tokens=False)
        assert ours.encode(text).tolist() == expected, repr(text)
        compared += 1
    assert compared >= 10_000


def test_both_files_give_the_same_ids(vocabulary_file: Path, tmp_path: Path) -> None:
    from_vocabulary = Tokenizer.load(vocabulary_file)
    for name, text in tokenizer_files(from_vocabulary.to_json()).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert (tmp_path / "vocab.txt").read_bytes() == vocabulary_file.read_bytes()
    from_json = Tokenizer.load(tmp_path / "tokenizer.json")
    theirs = BertTokenizer.from_pretrained(tmp_path)
    for text in texts()[:500]:
        squeezed = re.sub(r"\s+", " ", text).strip()
        expected = from_vocabulary.encode(text).tolist()
        assert from_json.encode(text).tolist() == expected
        assert theirs.encode(squeezed, add_special_tokens=False) == expected
