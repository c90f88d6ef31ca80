"""Cuts of last resort: between words, also where none are written, and inside a word that is too long.

Knows no budget and no punctuation above what clings to a word.
"""

from __future__ import annotations

import re
import unicodedata

from openbark.text.split.quotations import Stretches

_GAP = re.compile(r"\s++(?=\S)")
_IDEOGRAPH = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々"
_HIRAGANA = "\u3041-\u309f"
_KATAKANA = "\u30a0-\u30ff"
_NOT_FIRST = re.escape(
    "、。，．・：；？！)）]］｝〉》」』】”’…ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
)
_NOT_LAST = re.escape("(（[［｛〈《「『【“‘")
# In Japanese a word begins where ideographs or katakana follow hiragana; Chinese words are short anyhow.
_WORD_START_JA = re.compile(f"(?<=[{_HIRAGANA}])(?=[{_IDEOGRAPH}{_KATAKANA}])(?![{_NOT_FIRST}])")
_WORD_START_ZH = re.compile(f"(?<=[{_IDEOGRAPH}])(?=[{_IDEOGRAPH}])")
_BETWEEN_WIDE = re.compile(
    f"(?<=[{_IDEOGRAPH}{_HIRAGANA}{_KATAKANA}\uac00-\ud7a3])(?<![{_NOT_LAST}])"
    f"(?=[{_IDEOGRAPH}{_HIRAGANA}{_KATAKANA}\uac00-\ud7a3])(?![{_NOT_FIRST}])"
)
_JOINERS = "\u200c\u200d"


def word_cuts(text: str, start: int, stop: int, language: str, protected: Stretches) -> list[int]:
    """Positions in (start, stop) where a new word begins, none inside a protected stretch."""
    found = {match.end() for match in _GAP.finditer(text, start, stop)}
    if language in ("ja", "zh"):
        pattern = _WORD_START_JA if language == "ja" else _WORD_START_ZH
        found.update(match.start() for match in pattern.finditer(text, start, stop))
    return sorted(at for at in found if start < at < stop and not protected.cuts(at))


def inner_cuts(text: str, start: int, stop: int) -> list[int]:
    """Positions in (start, stop) between words, also inside protected stretches, and between wide letters."""
    found = {match.end() for match in _GAP.finditer(text, start, stop)}
    found.update(match.start() for match in _BETWEEN_WIDE.finditer(text, start, stop))
    return sorted(at for at in found if start < at < stop)


def character_cuts(text: str, start: int, stop: int) -> list[int]:
    """Positions in (start, stop) that divide no letter from its marks."""
    return [
        at
        for at in range(start + 1, stop)
        if not unicodedata.category(text[at]).startswith("M")
        and text[at] not in _JOINERS
        and text[at - 1] not in _JOINERS
        and not text[at].isspace()
    ]
