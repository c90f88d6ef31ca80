"""Text that comes in parts, cut into the sentences that are complete."""

from __future__ import annotations

import asyncio
import re

from openbark.text.split.pieces import Budget, split_text

# Sentences are cut here, pieces that fit the model later: no budget but the sentence.
_NO_BUDGET = Budget(max_tokens=10**9, max_seconds=1e9, min_seconds=0.0)
# Text without an end is read again when it has grown by this factor, which keeps the whole work linear.
_GROWTH = 1.25
_SHORT = 400
_MAY_END = re.compile(r"[.!?…。！？।॥\n]")
# Reading more than this takes milliseconds, in which other requests would wait.
_LONG = 2_000


def whole_sentences(text: str) -> tuple[list[str], str]:
    """The sentences that are complete, and the rest: the last one, to which more may belong."""
    if not text.strip():
        return [], text
    pieces = split_text(text, len, _NO_BUDGET)
    return [piece.text for piece in pieces[:-1]], text[pieces[-1].start :]


class SentenceBuffer:
    """The text that is not yet a whole sentence."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._n_read = 0
        self._n_chars = 0

    def __len__(self) -> int:
        return self._n_chars

    async def add(self, text: str) -> list[str]:
        """Add text; the sentences that are complete now. Other tasks run meanwhile, however much text comes."""
        self._parts.append(text)
        self._n_chars += len(text)
        await asyncio.sleep(0)
        is_due = self._n_chars <= _SHORT or self._n_chars >= _GROWTH * self._n_read
        if not is_due and not (self._n_chars <= _LONG and _MAY_END.search(text)):
            return []
        whole = "".join(self._parts)
        if len(whole) > _LONG:
            sentences, rest = await asyncio.to_thread(whole_sentences, whole)
        else:
            sentences, rest = whole_sentences(whole)
        self._set(rest)
        self._n_read = len(rest)
        return sentences

    def take_rest(self) -> list[str]:
        """What is left, as sentences, when no more text comes."""
        rest = "".join(self._parts)
        self._set("")
        self._n_read = 0
        if not rest.strip():
            return []
        sentences, last = whole_sentences(rest)
        return [*sentences, last]

    def keep(self, text: str) -> None:
        """Add text that is not cut into sentences."""
        self._parts.append(text)
        self._n_chars += len(text)

    def take_all(self) -> list[str]:
        """Everything that is left, in one."""
        whole = "".join(self._parts)
        self._set("")
        return [whole] if whole.strip() else []

    def _set(self, rest: str) -> None:
        self._parts = [rest]
        self._n_chars = len(rest)
