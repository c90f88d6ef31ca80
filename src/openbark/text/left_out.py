"""What a reader leaves out of a text because it has no sound, and the one notice that says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openbark.errors import TextError

_MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not spoken. text: as it is written. reason: why, such as "has no sound"."""

    text: str
    reason: str

    def __str__(self) -> str:
        """As it is named in a message: a single character with its code point."""
        if len(self.text) != 1:
            return self.text
        shown = self.text if self.text.isprintable() else ""
        return f"{shown} (U+{ord(self.text):04X})".strip()


def notice_of(left_out: Iterable[LeftOut]) -> str | None:
    """One line that names everything left out, by reason; None where nothing was."""
    by_reason: dict[str, list[str]] = {}
    for each in dict.fromkeys(left_out):
        by_reason.setdefault(each.reason, []).append(str(each))
    if not by_reason:
        return None
    return "left out of the speech: " + "; ".join(
        f"{_listed(named)} ({reason})" for reason, named in by_reason.items()
    )


def refuse_left_out(left_out: Iterable[LeftOut]) -> None:
    """Raise TextError where anything was left out: what `strict` does."""
    notice = notice_of(left_out)
    if notice is not None:
        raise TextError(
            f"{notice}; strict reading refuses that: remove it, write it as words, or read without strict"
        )


def _listed(named: list[str]) -> str:
    rest = len(named) - _MAX_NAMED
    return ", ".join(named[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
