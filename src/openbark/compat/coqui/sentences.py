"""Text into sentences, as Coqui's front end does before it speaks them one by one (docs/parity.md C31).

A rule of thumb for languages that end sentences with a mark: not Coqui's library, and not ours for long text.
"""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Z]|[A-Za-z](?:\.[A-Za-z])+|mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|no|vol|fig)\.$",
    re.IGNORECASE,
)
_STARTS_LOW = re.compile(r"[\s\"'“‘(\[]*[a-zß-öø-ÿ]")


def split_sentences(text: str) -> list[str]:
    """Sentences of `text` in order, nothing lost but the space between them; none for empty text."""
    sentences: list[str] = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        sentence = text[start:end].strip()
        rest = text[end:]
        if _ABBREVIATION.search(sentence) or (sentence.endswith(".") and _STARTS_LOW.match(rest)):
            continue
        if sentence:
            sentences.append(sentence)
        start = end
    last = text[start:].strip()
    return [*sentences, last] if last else sentences
