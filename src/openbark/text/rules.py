"""One reading rule: a pattern and the words for what it matches, set apart from letters around it.

Knows no language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Rule", "apply_rules"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Replaces every match of `pattern` by `read(match)`; None leaves the match as it is."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], str | None]

    def apply(self, text: str) -> str:
        """`text` with every match read; a space is put where words would touch a letter or digit."""
        return self.pattern.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        words = self.read(match)
        if words is None:
            return match.group()
        before = match.string[max(0, match.start() - 1) : match.start()]
        after = match.string[match.end() : match.end() + 1]
        left = " " if before.isalnum() and words[:1].isalnum() else ""
        right = " " if after.isalnum() and words[-1:].isalnum() else ""
        return f"{left}{words}{right}"


def apply_rules(text: str, rules: Sequence[Rule]) -> str:
    """Apply rules in order, each to the result of the one before."""
    for rule in rules:
        text = rule.apply(text)
    return text
