"""Which of the 13 languages a text is in, by its script and its most frequent words.

A guess for choosing punctuation rules, no detector: English where nothing tells. Knows no grammar.
"""

from __future__ import annotations

import re

from openbark.errors import ParamError
from openbark.text.split.sentence_words import LANGUAGES, SENTENCE_WORDS

_LOOKED_AT = 4000
_MIN_SHARE = 0.2
_SCRIPTS = (
    ("ko", re.compile("[\uac00-\ud7a3]")),
    ("ja", re.compile("[\u3041-\u30fa]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("hi", re.compile("[\u0904-\u0939]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
)
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
# Letters and marks that hardly any other of these languages writes.
_LATIN = {
    "en": "",
    "de": "äöüß",
    "es": "ñ¿¡",
    "fr": "èêàçœ",
    "it": "òìù",
    "pl": "ąęłśżźćń",
    "pt": "ãõ",
    "tr": "ışğİ",
}


def check_language(language: str | None, text: str) -> str:
    """`language` itself, or a guess from `text` for None. Raises ParamError for a language we have no rules of."""
    if language is None:
        return guess_language(text)
    if language not in SENTENCE_WORDS:
        raise ParamError(
            f"no splitting rules for the language {language!r}; allowed: {', '.join(LANGUAGES)}, "
            "or None to guess it from the text"
        )
    return language


def guess_language(text: str) -> str:
    """Code of the language that the first 4,000 characters look most like."""
    sample = text[:_LOOKED_AT]
    n_letters = len(_LETTER.findall(sample))
    for language, letters in _SCRIPTS:
        # Kana among ideographs tell Japanese from Chinese; a lone foreign letter tells nothing.
        if len(letters.findall(sample)) > _MIN_SHARE * n_letters:
            return language
    words = [word.lower() for word in _WORD.findall(sample)]
    scores = {
        language: sum(word in SENTENCE_WORDS[language].openers for word in words)
        + sum(map(sample.count, letters))
        for language, letters in _LATIN.items()
    }
    best = max(scores, key=lambda language: scores[language])
    return best if scores[best] else "en"
