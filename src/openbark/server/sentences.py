"""Text that comes in pieces, cut into the sentences that are complete."""

from __future__ import annotations

from openbark.text.split import Budget, split_text

__all__ = ["whole_sentences"]

# Sentences are cut here, pieces that fit the model later: no budget but the sentence.
_NO_BUDGET = Budget(max_tokens=10**9, max_seconds=1e9, min_seconds=0.0)


def whole_sentences(text: str) -> tuple[list[str], str]:
    """The sentences that are complete, and the rest: the last one, to which more may belong."""
    if not text.strip():
        return [], text
    pieces = split_text(text, len, _NO_BUDGET)
    return [piece.text for piece in pieces[:-1]], text[pieces[-1].start :]
