"""How a long text is spoken: where it is cut, in whose voice each piece is, what is between, what is tried again.

Frozen settings, checked once. Knows no text and no model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from openbark.audio.joining import MAX_CROSSFADE_SECONDS
from openbark.audio.trim import MAX_KEEP_SECONDS
from openbark.errors import ParamError
from openbark.scalars import read_number, read_whole
from openbark.text.split.pieces import SPLITS, Boundary
from openbark.text.split.sentence_words import LANGUAGES

POLICIES = ("anchor", "chain", "hybrid")
"""Voice of each piece: the given one; the piece before it; the given one with the end of the piece before it."""

WHOLE = "none"
"""The split that leaves a text in one piece."""

Auto = Literal["auto"]

AUTO: Auto = "auto"
"""What suits the latency: 2 retries and 0.05 s of silence kept where whole pieces are returned; no retries and all
of the silence in low latency, which returns audio that can no longer be changed."""

_RETRIES = 2
_KEPT_SECONDS = 0.05
_MAX_PAUSE = 60.0
_MAX_TRIES = 16


def _number(name: str, value: object, low: float, high: float) -> float:
    number = read_number(value)
    if number is None or not low <= number <= high:
        raise ParamError(f"{name} is {value!r}; allowed: {low:g} to {high:g}")
    return number


def _whole(name: str, value: object, low: int, high: int) -> int:
    number = read_whole(value)
    if number is None or not low <= number <= high:
        raise ParamError(f"{name} is {value!r}; allowed: a whole number, {low} to {high}")
    return number


def _is_auto(value: object) -> bool:
    return isinstance(value, str) and value == AUTO


@dataclass(frozen=True, slots=True)
class Pauses:
    """Silence after a piece, in seconds, by what ends with it; beside what trimming leaves of its own.

    Where the budget cuts inside a clause there is none: the pieces lie over each other.
    """

    clause: float = 0.1
    sentence: float = 0.3
    paragraph: float = 0.7

    def __post_init__(self) -> None:
        for name in ("clause", "sentence", "paragraph"):
            seconds = _number(f"pauses.{name}", getattr(self, name), 0.0, _MAX_PAUSE)
            object.__setattr__(self, name, seconds)

    def after(self, boundary: Boundary) -> float:
        """Seconds after a piece that ends with `boundary`."""
        return {
            Boundary.CLAUSE: self.clause,
            Boundary.SENTENCE: self.sentence,
            Boundary.PARAGRAPH: self.paragraph,
        }.get(boundary, 0.0)


@dataclass(frozen=True, slots=True)
class LongFormOptions:
    """Settings of a text that is spoken in pieces.

    split: "sentence" (default), "packed" (as much as fits) or "none" (one piece, refused when too long).
    language: a code for the rules of splitting, None guesses. max_seconds, min_seconds: expected length of a
    piece. pace: the model's seconds over those an average reader takes.
    policy: one of POLICIES; anchor_every: a hybrid starts from the given voice alone at every so many pieces.
    pauses, crossfade_seconds: what is between pieces; keep_seconds: silence left at the ends of a piece, None
    leaves all of it, "auto" (default) is AUTO's.
    retries: how often a piece that ran away is made again, "auto" (default) is AUTO's; a piece that says nothing is
    tried three times whatever they are. best_of: how many of each piece are made, the best is kept.
    ahead: pieces in the works at a time.
    Raises ParamError for values outside.
    """

    split: str = "sentence"
    language: str | None = None
    max_seconds: float = 12.0
    min_seconds: float = 1.0
    pace: float = 1.0
    policy: str = "hybrid"
    anchor_every: int = 4
    pauses: Pauses = field(default_factory=Pauses)
    crossfade_seconds: float = 0.015
    keep_seconds: float | Auto | None = AUTO
    retries: int | Auto = AUTO
    best_of: int = 1
    ahead: int = 8

    def __post_init__(self) -> None:
        splits = (*SPLITS, WHOLE)
        for name, value, allowed in (
            ("split", self.split, splits),
            ("policy", self.policy, POLICIES),
            ("language", self.language, (*LANGUAGES, None)),
        ):
            if not isinstance(value, (str, type(None))) or value not in allowed:
                raise ParamError(
                    f"{name} is {value!r}; allowed: {', '.join(str(each) for each in allowed)}"
                )
        self._set_number("max_seconds", 0.1, 1000.0)
        self._set_number("min_seconds", 0.0, self.max_seconds)
        self._set_number("pace", 0.1, 10.0)
        self._set_number("crossfade_seconds", 0.0, MAX_CROSSFADE_SECONDS)
        if self.keep_seconds is not None and not _is_auto(self.keep_seconds):
            self._set_number("keep_seconds", 0.0, MAX_KEEP_SECONDS)
        self._set_whole("anchor_every", 1, 1000)
        if not _is_auto(self.retries):
            self._set_whole("retries", 0, _MAX_TRIES)
        self._set_whole("best_of", 1, _MAX_TRIES)
        self._set_whole("ahead", 1, 64)
        if not isinstance(self.pauses, Pauses):
            raise ParamError(f"pauses must be Pauses, is {type(self.pauses).__name__}")

    def _set_number(self, name: str, low: float, high: float) -> None:
        object.__setattr__(self, name, _number(name, getattr(self, name), low, high))

    def _set_whole(self, name: str, low: int, high: int) -> None:
        object.__setattr__(self, name, _whole(name, getattr(self, name), low, high))

    @property
    def n_retries(self) -> int:
        """`retries` of pieces that are returned whole."""
        return _RETRIES if isinstance(self.retries, str) else self.retries

    @property
    def kept_seconds(self) -> float | None:
        """`keep_seconds` of pieces that are returned whole."""
        return _KEPT_SECONDS if isinstance(self.keep_seconds, str) else self.keep_seconds
