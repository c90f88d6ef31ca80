"""Text as Suno's scripts give it, for models that read less than Suno's: what is not read is said, never hidden.

Suno's models take any character, and 256 tokens. The embedded model reads English in 96: here signs without a
sound (♪, emoji) are left out and Hangul is spelled in Latin letters, each with one line that says so, and longer
text is read piece by piece. Other letters stay an error: leaving out words would change what is said.
"""

from __future__ import annotations

import logging
import unicodedata

from openbark.api import Bark
from openbark.config import SemanticRules
from openbark.errors import TextError
from openbark.text.split.pieces import Budget, split_text
from openbark.types import Tokens

_LOG = logging.getLogger(__name__)
_HANGUL = "HANGUL SYLLABLE "


def text_pieces(text: str, bark: Bark) -> list[Tokens]:
    """Token ids of a text, as many arrays as the model has to read one after the other.

    A model with Suno's slots reads one, cut with Suno's warning (docs/parity.md S30). Raises TextError for empty text and for
    letters the model cannot read.
    """
    read = readable_text(text, bark)
    encode = bark.tokenizer.encode
    tokens = encode(read)
    slots = bark.config.semantic_rules.max_text_tokens
    if len(tokens) <= slots:
        return [tokens]
    if slots >= SemanticRules().max_text_tokens:
        share = round((len(tokens) - slots) / len(tokens) * 100, 1)
        _LOG.warning("warning, text too long, lopping of last %s%%", share)
        return [tokens[:slots]]
    pieces = split_text(read, lambda part: len(encode(part)), Budget(slots))
    return [encode(piece.text)[:slots] for piece in pieces]


def readable_text(text: str, bark: Bark) -> str:
    """`text` as the model will read it, after `Bark.normalize`.

    Raises TextError for empty text, for letters that the model cannot read, when only signs are left, and for
    what is not a text.
    """
    if not isinstance(text, str):
        raise TextError(f"the text is a {type(text).__name__}; allowed: a str, such as 'Hello.'")
    try:
        read, spelled = text, False
        normalized = bark.normalize(text)
    except TextError:
        unreadable = [c for c in dict.fromkeys(text) if not _is_read(c, bark)]
        readings = {c: _reading(c) for c in unreadable}
        if not unreadable or None in readings.values():
            raise
        read, spelled = "".join(readings.get(c, c) or "" for c in text), True
        normalized = bark.normalize(read)
    name = bark.config.name
    left_out = dict.fromkeys(str(each) for each in bark.reader.reading(read).left_out)
    if left_out:
        _LOG.warning("%s cannot read %s; left out", name, ", ".join(left_out))
    if spelled:
        _LOG.warning(
            "%s reads no Korean; it speaks %r. Suno's models read it: OPENBARK_MODEL=suno/bark-small",
            name,
            normalized,
        )
    return normalized


def _is_read(character: str, bark: Bark) -> bool:
    # Between letters, so that a sign which alone would leave nothing is not mistaken for one that is refused.
    try:
        bark.normalize(f"a{character}a")
    except TextError:
        return False
    return True


def _reading(character: str) -> str | None:
    """Latin letters for Hangul, nothing for a sign, None for another letter or a digit."""
    name = unicodedata.name(character, "")
    if name.startswith(_HANGUL):
        # Unicode writes the aspirated ㅊ as a bare c, which English reads as k.
        syllable = name.removeprefix(_HANGUL).lower()
        return "ch" + syllable[1:] if syllable.startswith("c") else syllable
    return None if unicodedata.category(character)[0] in "LMN" else ""
