"""How strong a cut between pieces of text is."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """Strength of a cut: a weaker one is used only where no stronger one keeps the budget.

    ANYWHERE divides letters from their marks. INNER: inside a tag, an address, lyrics. QUOTED: between
    sentences of one quotation. LINE: between lines that are lines on purpose: of a list, a verse, a chat.
    """

    ANYWHERE = 0
    CHARACTER = 1
    INNER = 2
    WORD = 3
    CLAUSE = 4
    QUOTED = 5
    SENTENCE = 6
    LINE = 7
    PARAGRAPH = 8
